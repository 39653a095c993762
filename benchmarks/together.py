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


def contestant(
    name: str, preset: str, shapes: list[tuple[int, ...]], limits: batch.Limits | None, served: bool = False
) -> Contestant:
    """An optimizer without kernels of ours, within the given limits or the engine's own; or by torch's, where there is one."""
    params, gradients = copies(shapes), Gradients(shapes)
    group = {"params": params, "compiled": False}  # whatever lies on disk
    optimizer = optim.create(preset, [group], compile="auto" if served else False)

    def prepare() -> None:
        gradients.give(params)
        setattr(batch, "limits_for", _USUAL if limits is None else lambda _: limits)  # noqa: B010 - a switch for tables only

    return Contestant(name, partial(optimizer.step), prepare)
