"""Param groups as dicts: what they may hold, and what of a saved one is taken over."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from danlu.optim.plan import Builder
from danlu.optim.rule import SLOTS, Rule
from danlu.optim.values import Need
from danlu.ranges import NonNegative, check
from danlu.registry import did_you_mean

__all__ = [
    "admitted",
    "copied",
    "described",
    "merged",
    "named",
    "plain",
    "refuse_capture",
    "refuse_rate",
    "refuse_sharded",
    "refuse_sparse",
    "refuse_without",
]

# Keys of torch's groups that choose how torch runs a rule, not which rule: dropped when one of its states is loaded.
_TORCH_ONLY = frozenset({"foreach", "fused", "capturable", "differentiable", "decoupled_weight_decay"})
# Keys near to names of ours that torch's schedulers write.
_SCHEDULERS = frozenset({"max_lr", "min_lr", "swa_lr", "max_momentum", "base_momentum"})
_OURS = frozenset(
    {
        "compiled",
        "params",
        "param_names",
        "lr",
        "lr_factor",
        "initial_lr",
        "peak_lr",
        "maximize",
        "name",
        "roles",
        "rule",
        "shared",
        "without",
    }
)


def admitted(group: Mapping[str, Any], builder: Builder, lr: Any) -> dict[str, Any]:
    """Return a copy of a new group with its rule's own defaults and its lr filled in.

    Args:
        group: what was given.
        builder: where its rule comes from.
        lr: the optimizer's learning rate, which "lr_factor" multiplies.

    Raises:
        TypeError: for a key that looks like a misspelt option, or that names a slot of the rule.
    """
    known = {*builder.options, *_OURS}
    if slots := sorted(SLOTS & set(group) - known):
        raise TypeError(
            f'{builder.name}: a group cannot replace {slots[0]!r}; give it another optimizer="..." or without=(...)'
        )
    for key in group:
        if key not in known | _TORCH_ONLY | _SCHEDULERS and "did you mean" in (hint := did_you_mean(key, known)):
            raise TypeError(f"{builder.name}: no group option {key!r}{hint}")
    filled = {**builder.options, **group} if "rule" in group else {**group}
    if "lr_factor" in filled:
        filled.setdefault("lr", lr * filled["lr_factor"])
    return filled


def refuse_sharded(group: Mapping[str, Any], owner: str) -> None:
    """Refuse parameters that are DTensors.

    Raises:
        ValueError: naming the first one.
    """
    distributed = sys.modules.get("torch.distributed.tensor")  # not imported: then there is no DTensor
    for name, p in named(group):
        if distributed is not None and isinstance(p, distributed.DTensor):
            raise ValueError(f"{owner}: {name} is a DTensor; sharded parameters are not offered yet")


def refuse_without(owner: str, needs: frozenset[Need], closure: object, loss: object) -> None:
    """Refuse a step that was not given what its rules need.

    Raises:
        ValueError: saying how to call it.
    """
    if "closure" in needs and closure is None:
        raise ValueError(f"{owner}: this rule evaluates the model again: call step(closure)")
    if "loss" in needs and closure is None and loss is None:
        raise ValueError(f"{owner}: this rule reads the loss: call step(loss=loss.item()) or step(closure)")


def refuse_capture(p: Tensor) -> None:
    """Refuse to step while a CUDA graph records: replays would repeat the numbers of this step for ever.

    Raises:
        RuntimeError: saying what to do instead.
    """
    if p.is_cuda and torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "step() while a CUDA graph records, which would repeat the numbers of this step for ever; let "
            "danlu.optim.graphed(iteration, optimizer) record it"
        )


def refuse_sparse(group: Mapping[str, Any], owner: str) -> None:
    """Refuse gradients that are sparse.

    Raises:
        ValueError: naming the first parameter that has one.
    """
    for name, p in named(group):
        if p.grad is not None and p.grad.layout is not torch.strided:
            raise ValueError(f"{owner}: the gradient of {name} is sparse; make it dense (sparse=False)")


def refuse_rate(lr: Any, owner: str) -> None:
    """Refuse a learning rate out of its range.

    Raises:
        ValueError: with the range and the value.
    """
    check(owner, {"lr": NonNegative}, {"lr": lr})


def named(group: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The parameters of a group with their names, or with what stands in for them."""
    names = group.get("param_names") or [f"parameter {i}" for i in range(len(group["params"]))]
    return zip(names, group["params"], strict=True)


def merged(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Our group with the saved options; what only tells torch how to run is left out."""
    dropped = _TORCH_ONLY - set(ours) | {"codecs", "params", "param_names", "roles", "rule"}
    taken = {key: copied(value) for key, value in theirs.items() if key not in dropped}
    if isinstance(ours["lr"], Tensor):
        taken["lr"] = torch.full_like(ours["lr"], float(taken.get("lr", ours["lr"])))
    return {**ours, **taken}


def plain(value: Any) -> Any:
    """An option as a plain value: a 0-d tensor as its number, a list (from JSON) as a tuple."""
    if isinstance(value, Tensor):
        return value.item()
    return tuple(plain(x) for x in value) if isinstance(value, (list, tuple)) else value


def copied(value: Any) -> Any:
    """A nest of dicts and lists with every tensor cloned: groups too hold tensors (lr)."""
    if isinstance(value, dict):
        return {key: copied(x) for key, x in value.items()}
    if isinstance(value, list):
        return [copied(x) for x in value]
    return value.clone() if isinstance(value, Tensor) else value


def described(title: str, groups: Sequence[Mapping[str, Any]], rules: Sequence[Rule]) -> str:
    """The groups with their sizes, settings and rules, a line for each."""
    lines = [f"{title} ("]
    for i, (group, rule) in enumerate(zip(groups, rules, strict=True)):
        count = sum(p.numel() for p in group["params"])
        lines += [f"group {i}: {len(group['params'])} tensors, {count:,} parameters"]
        lines += [f"    {key}: {value}" for key, value in group.items() if key not in {"params", "param_names", "roles"}]
        lines += [f"    {line}" for line in str(rule).splitlines()]
    return "\n".join([*lines, ")"])
