"""What an optimizer was made with, and what of it a checkpoint overrules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["base_options", "differences"]


def base_options(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return each group's hyper-parameters as they were given: of what is scheduled, the initial value.

    Args:
        optimizer: any `torch.optim.Optimizer`. Numbers in a tuple that are scheduled one by one are left out.

    Returns:
        The plain values by name: numbers, text, None, and tuples of them.
    """
    return [
        {key: _plain(group.get(f"initial_{key}", group[key])) for key in optimizer.defaults if _is_known(group, key)}
        for group in optimizer.param_groups
    ]


def differences(theirs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """Return the hyper-parameters that differ, with both values in the first group in which they do."""
    found: dict[str, tuple[Any, Any]] = {}
    for one, other in zip(theirs, ours, strict=True):
        for key in one.keys() & other.keys():
            if one[key] != other[key]:
                found.setdefault(key, (one[key], other[key]))
    return dict(sorted(found.items()))


def _is_known(group: Mapping[str, Any], key: str) -> bool:
    return key in group and not any(name.startswith(f"initial_{key}[") for name in group)


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return float(value) if value.numel() == 1 else None
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    return value if isinstance(value, (bool, int, float, str)) else None
