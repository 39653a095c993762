"""The eager law of one tensor, written back into its storage."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.rule import Rule
from danlu.optim.run.views import compute_dtype
from danlu.optim.values import Scalars

__all__ = ["begin", "context_of", "keep", "step_eagerly"]


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
    keep(new, planes)
    p.copy_(new_p)  # last: a slot may keep the old parameter


def begin(
    structure: Rule, p: Tensor, g: Tensor, planes: Mapping[str, Tensor], numbers: Mapping[str, Scalars]
) -> tuple[Tensor, dict[str, Tensor], bool]:
    """Act until the direction is known, and on where lr was scaled: a tail does not know of that.

    Args:
        structure: a rule with its numbers erased.
        p: the parameter, in the dtype in which it is kept.
        g: its gradient.
        planes: its state by key.
        numbers: the numbers of each piece.

    Returns:
        The direction, what is new of the state, and False; or the new parameter, all of the new state, and True.
    """
    c = context_of(structure, p, g, planes, numbers)
    structure.begin([c], numbers)
    return (c.u, c.new, False) if c.lr_scale is None else (*structure.finish(c, numbers), True)


def context_of(structure: Rule, p: Tensor, g: Tensor, planes: Mapping[str, Tensor], numbers: Mapping[str, Scalars]) -> Context:
    """Return what the pieces see of a step; the arguments are those of `begin`."""
    dtype = compute_dtype(p)
    return Context(p.to(dtype), g.to(dtype), planes, structure.codecs, numbers, p.dtype)


def keep(new: Mapping[str, Tensor], planes: Mapping[str, Tensor]) -> None:
    """Write new state into its storage; a state that was handed on as it is must not be read after it was overwritten."""
    olds = list(planes.values())
    own = {key: x.clone() if any(x is old for old in olds if old is not planes[key]) else x for key, x in new.items()}
    for key, x in own.items():
        if x is not planes[key]:
            planes[key].copy_(x)
