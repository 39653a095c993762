"""Eager optimizers that step tensors together within given limits: the same numbers, other calls."""

from __future__ import annotations

from functools import partial

from sets import Gradients, copies
from timing import Contestant

from danlu import optim
from danlu.optim.run import batch

__all__ = ["NEVER", "contestant"]

NEVER = batch.Limits(0, 1)
_USUAL = batch.limits_for


def contestant(name: str, preset: str, shapes: list[tuple[int, ...]], limits: batch.Limits | None) -> Contestant:
    """An eager optimizer within the given limits, or within the engine's own."""
    params, gradients = copies(shapes), Gradients(shapes)
    optimizer = optim.create(preset, params, compile=False)

    def prepare() -> None:
        gradients.give(params)
        setattr(batch, "limits_for", _USUAL if limits is None else lambda _: limits)  # noqa: B010 - a switch for tables only

    return Contestant(name, partial(optimizer.step), prepare)
