"""Loading optimizer state: matched by name, checked whole, copied; nothing is written unless everything fits."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from danlu.optim.names import in_common
from danlu.optim.recode import Notes, noted, recoded
from danlu.optim.rule import Rule
from danlu.optim.run.views import complexed, compute_dtype, real
from danlu.optim.run.words import paired
from danlu.optim.values import Tick
from danlu.registry import did_you_mean

__all__ = ["Saved", "adopt", "fresh", "group_pairs", "recorded", "saved_of"]

SavedGroup = Mapping[str, Any]


class Saved(NamedTuple):
    """What was saved of one parameter.

    Args:
        entry: its state; {} for a parameter that has not stepped.
        notes: the codecs of the slots that are not kept as plain numbers.
    """

    entry: Mapping[str, Any]
    notes: Notes = {}  # noqa: RUF012 - nobody writes it


def group_pairs(saved: Sequence[SavedGroup], groups: Sequence[dict[str, Any]]) -> list[tuple[SavedGroup, dict[str, Any]]]:
    """Return each saved group with the group it belongs to.

    Raises:
        ValueError: when their numbers differ.
    """
    if len(saved) != len(groups):
        raise ValueError(f"load_state_dict: the state has {len(saved)} parameter groups, this optimizer {len(groups)}")
    return list(zip(saved, groups, strict=True))


def recorded(group: SavedGroup, rule: Rule) -> dict[str, Any]:
    """Return a group as it is saved: plain, and with the codec of every slot that is not kept as plain numbers."""
    notes = noted(rule)
    return {**{key: x for key, x in group.items() if key != "rule"}, **({"codecs": notes} if notes else {})}


def saved_of(
    state: Mapping[Any, Any], saved: Sequence[SavedGroup], groups: Sequence[dict[str, Any]], strict: bool
) -> dict[Tensor, Saved]:
    """Return what was saved of each parameter: by name when both sides know names, by position with a warning otherwise.

    Raises:
        ValueError: when names are missing on either side (strict only) or positions do not line up.
    """
    pairs = group_pairs(saved, groups)
    kept = {key: Saved(state.get(key, {}), group.get("codecs", {})) for group in saved for key in group["params"]}
    if all("param_names" in group for pair in pairs for group in pair):
        return _by_name(kept, saved, groups, strict)
    warnings.warn(
        "load_state_dict: state is matched by position, because names are not known on both sides; build the optimizer from "
        "the module or from model.named_parameters() to match by name",
        stacklevel=4,
    )
    found: dict[Tensor, Saved] = {}
    for i, (theirs, ours) in enumerate(pairs):
        if len(theirs["params"]) != len(ours["params"]):
            raise ValueError(
                f"load_state_dict: group {i} of the state has {len(theirs['params'])} parameters, this optimizer's "
                f"{len(ours['params'])}"
            )
        found.update({p: kept[key] for key, p in zip(theirs["params"], ours["params"], strict=True)})
    return found


def _by_name(
    kept: Mapping[Any, Saved], saved: Sequence[SavedGroup], groups: Sequence[dict[str, Any]], strict: bool
) -> dict[Tensor, Saved]:
    theirs, ours = in_common(_members(saved), _members(groups))
    missing, unexpected = [n for n in ours if n not in theirs], [n for n in theirs if n not in ours]
    if strict and (missing or unexpected):
        parts = [f"missing {', '.join(missing)}"] * bool(missing) + [f"unexpected {', '.join(unexpected)}"] * bool(unexpected)
        raise ValueError(f"load_state_dict: {'; '.join(parts)}; strict=False keeps the missing ones fresh")
    return {p: kept[theirs[name]] for name, p in ours.items() if name in theirs}


def _members(groups: Sequence[SavedGroup]) -> dict[str, Any]:
    return {name: x for group in groups for name, x in zip(group["param_names"], group["params"], strict=True)}


def fresh(rule: Rule, p: Tensor) -> dict[str, Tensor]:
    """Return the start state of a parameter; a complex one's is complex where it has its shape, as torch keeps it."""
    like, dtype = real(p.detach()), compute_dtype(p)
    return complexed(rule.init(like, dtype), p)


def adopt(saved: Saved, p: Tensor, rule: Rule, name: str) -> dict[str, Any]:
    """Return a parameter's state made from a saved one: as the rule's codecs keep it, checked, cast and copied.

    Args:
        saved: what was saved of one parameter.
        p: the parameter.
        rule: the rule that will go on with the state.
        name: the parameter's name, for messages.

    Returns:
        The state, or {} for {}.

    Raises:
        ValueError: for a slot that is missing or unknown, a shape that differs, a step that is missing where it matters, or a
            note on a codec that does not fit.
    """
    entry = {key: value for key, value in saved.entry.items() if value is not None}
    if not entry:
        return {}
    entry = recoded(entry, saved.notes, p, rule, name)
    expected = fresh(rule, p.to("meta"))
    known = {*expected, *rule.memory, "step"}
    for key in (*expected, *rule.memory):
        if key not in entry:
            raise ValueError(f"load_state_dict: the state of {name} has no {key!r}, which this rule keeps{_has(entry)}")
    for key in entry:
        if key not in known:
            raise ValueError(
                f"load_state_dict: the state of {name} has {key!r}, which this rule does not keep{did_you_mean(key, known)}"
            )
    state: dict[str, Any] = {"step": _step(entry, rule, name)}
    for key in rule.memory:
        state[key] = float(entry[key])
    for key, like in expected.items():
        value = entry[key]
        if value.shape != like.shape:
            raise ValueError(
                f"load_state_dict: {key!r} of {name} has shape {tuple(value.shape)}, the parameter's is {tuple(like.shape)}"
            )
        state[key] = (
            torch.empty_like(p, dtype=like.dtype).copy_(value)
            if like.shape == p.shape
            else value.to(p.device, like.dtype, copy=True)
        )
    return paired(state, p, rule)


def _has(entry: Mapping[str, Any]) -> str:
    return f"; it has {', '.join(map(str, entry))}"


def _step(entry: Mapping[str, Any], rule: Rule, name: str) -> int:
    if "step" in entry:
        return int(entry["step"])
    # torch's SGD keeps no step. One past step is as good as any when no number of the rule depends on how many there were.
    if _numbers_at(rule, 2) == _numbers_at(rule, 1_000_003):
        return 1
    raise ValueError(f"load_state_dict: the state of {name} has no 'step', and this rule counts steps{_has(entry)}")


def _numbers_at(rule: Rule, t: int) -> list[float]:
    return rule.scalars(rule.ticked(Tick(t, 1.0, 1.0, rule.memory, rule.shared, 1.0)))
