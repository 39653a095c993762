"""Loading optimizer state: matched by name, checked whole, copied; nothing is written unless everything fits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.run.views import compute_dtype, real
from danlu.optim.run.words import paired
from danlu.optim.values import Tick
from danlu.registry import did_you_mean

__all__ = ["adopt", "fresh", "group_pairs", "recorded", "refuse_other_codecs", "saved_of"]

SavedGroup = Mapping[str, Any]
_MANY = 2**62  # elements: a tensor that no codec leaves dense for being small


def group_pairs(saved: Sequence[SavedGroup], groups: Sequence[dict[str, Any]]) -> list[tuple[SavedGroup, dict[str, Any]]]:
    """Return each saved group with the group it belongs to.

    Raises:
        ValueError: when their numbers differ.
    """
    if len(saved) != len(groups):
        raise ValueError(f"load_state_dict: the state has {len(saved)} parameter groups, this optimizer {len(groups)}")
    return list(zip(saved, groups, strict=True))


def recorded(group: SavedGroup, rule: Rule) -> dict[str, Any]:
    """Return a group as it is saved: plain, and with the codec of every slot that is not kept as plain numbers, in words.

    Two codecs may keep parts of the same names and shapes, and read each other's as other numbers.
    """
    codecs = {slot: str(codec.at(_MANY)) for slot, codec in rule.coded.items()}
    return {**{key: x for key, x in group.items() if key != "rule"}, **({"codecs": codecs} if codecs else {})}


def refuse_other_codecs(saved: Sequence[SavedGroup], rules: Sequence[Rule]) -> None:
    """Refuse slots that another codec, or the same one with other settings, has encoded; old states do not say.

    Raises:
        ValueError: naming the first slot and both codecs.
    """
    for group, rule in zip(saved, rules, strict=True):
        ours = recorded({}, rule).get("codecs", {})
        for slot, theirs in group.get("codecs", {}).items():
            if ours.get(slot, theirs) != theirs:
                raise ValueError(f"load_state_dict: {slot} of the state was kept by {theirs}, here it is by {ours[slot]}")


def saved_of(
    state: Mapping[Any, Any], saved: Sequence[SavedGroup], groups: Sequence[dict[str, Any]], strict: bool
) -> dict[Tensor, Mapping[str, Any]]:
    """Return the saved entry of each parameter: by name when both sides know names, by position with a warning otherwise.

    Raises:
        ValueError: when names are missing on either side (strict only) or positions do not line up.
    """
    pairs = group_pairs(saved, groups)
    if all("param_names" in group for pair in pairs for group in pair):
        return _by_name(state, saved, groups, strict)
    warnings.warn(
        "load_state_dict: state is matched by position, because names are not known on both sides; build the optimizer from "
        "the module or from model.named_parameters() to match by name",
        stacklevel=4,
    )
    found: dict[Tensor, Mapping[str, Any]] = {}
    for i, (theirs, ours) in enumerate(pairs):
        if len(theirs["params"]) != len(ours["params"]):
            raise ValueError(
                f"load_state_dict: group {i} of the state has {len(theirs['params'])} parameters, this optimizer's "
                f"{len(ours['params'])}"
            )
        found.update({p: state.get(key, {}) for key, p in zip(theirs["params"], ours["params"], strict=True)})
    return found


def _by_name(
    state: Mapping[Any, Any], saved: Sequence[SavedGroup], groups: Sequence[dict[str, Any]], strict: bool
) -> dict[Tensor, Mapping[str, Any]]:
    theirs = {name: key for group in saved for name, key in _uncompiled(group)}
    ours = {name: p for group in groups for name, p in _uncompiled(group)}
    missing, unexpected = [n for n in ours if n not in theirs], [n for n in theirs if n not in ours]
    if strict and (missing or unexpected):
        parts = [f"missing {', '.join(missing)}"] * bool(missing) + [f"unexpected {', '.join(unexpected)}"] * bool(unexpected)
        raise ValueError(f"load_state_dict: {'; '.join(parts)}; strict=False keeps the missing ones fresh")
    return {p: state.get(theirs[name], {}) for name, p in ours.items() if name in theirs}


def _uncompiled(group: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parameters of a group under the names that they have without ``torch.compile``."""
    names = (name.replace("_orig_mod.", "") for name in group["param_names"])
    return zip(names, group["params"], strict=True)


def fresh(rule: Rule, p: Tensor) -> dict[str, Tensor]:
    """Return the start state of a parameter; a complex one's is complex where it has its shape, as torch keeps it."""
    like, dtype = real(p.detach()), compute_dtype(p)
    state = rule.init(like, dtype)
    if not p.is_complex():
        return state
    pairs = {key for key, x in state.items() if x.shape == like.shape and x.dtype == dtype}
    return {key: torch.view_as_complex(x) if key in pairs else x for key, x in state.items()}


def adopt(entry: Mapping[str, Any], p: Tensor, rule: Rule, name: str) -> dict[str, Any]:
    """Return a parameter's state made from a saved entry: checked against what the rule keeps, cast and copied.

    Args:
        entry: the saved state of one parameter; {} for a parameter that has not stepped.
        p: the parameter.
        rule: the rule that will go on with the state.
        name: the parameter's name, for messages.

    Returns:
        The state, or {} for {}.

    Raises:
        ValueError: for a slot that is missing or unknown, a shape that differs, or a step that is missing where it matters.
    """
    entry = {key: value for key, value in entry.items() if value is not None}
    if not entry:
        return {}
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
