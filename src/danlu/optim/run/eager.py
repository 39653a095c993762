"""The eager law of one tensor, written back into its storage."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.run.views import compute_dtype
from danlu.optim.values import Scalars

__all__ = ["step_eagerly"]


def step_eagerly(structure: Rule, p: Tensor, g: Tensor, planes: Mapping[str, Tensor], numbers: Mapping[str, Scalars]) -> None:
    """Advance a real tensor and its state by one step.

    Args:
        structure: the rule with its numbers erased.
        p: the parameter.
        g: its gradient, of the same shape.
        planes: its state by key.
        numbers: the numbers of each piece.
    """
    dtype = compute_dtype(p)
    new_p, new = structure.step(p.to(dtype), g.to(dtype), planes, numbers, p.dtype)
    olds = list(planes.values())
    for key, plane in planes.items():  # a state that was handed on as it is must not be read after it was overwritten
        new[key] = new[key].clone() if any(new[key] is old for old in olds if old is not plane) else new[key]
    for key, plane in planes.items():
        if new[key] is not plane:
            plane.copy_(new[key])
    p.copy_(new_p)  # last: a slot may keep the old parameter
