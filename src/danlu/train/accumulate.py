"""From micro-batches to the sum of their losses and of their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, final

import torch

from danlu.loss import LossSum
from danlu.train.replay import Surroundings
from danlu.train.setup import Setup

__all__ = ["Accumulated", "accumulate"]

_UNKNOWN = LossSum(torch.zeros(()), 0)  # the sums over the window, before they are known


@final
@dataclass(frozen=True)
class Accumulated:
    """What was added up, over the window and all ranks.

    Args:
        sums: of the losses.
        unit: ``p.grad`` times this is the gradient of the sum of the losses, or of their mean.
        mean: which of the two.
        stop: whether a rank wants to stop.
    """

    sums: LossSum
    unit: float
    mean: bool
    stop: bool


def accumulate(setup: Setup, window: Sequence[Any], stop: bool = False) -> Accumulated:
    """Leave in ``p.grad`` a multiple of the gradient of the window's loss, complete on every rank.

    Backward runs on each micro-batch's sum as soon as that is there; the count is divided by afterwards. Of a single
    micro-batch the count is known, and backward runs on the mean. A loss with parts has no single count to divide by:
    there, and in the first window in float16, the sums of all micro-batches but the first are found beforehand, by
    forward passes without gradients, from the same random numbers and buffers.

    Args:
        setup: what is evaluated.
        window: the micro-batches.
        stop: whether this rank wants to stop.

    Returns:
        The sums.

    Raises:
        ValueError: for an empty window; when only some micro-batches have parts; when, with several ranks, the last
            one's loss reaches no parameter.
    """
    if not window:
        raise ValueError("Update: the window is empty; give it at least one batch, as in update([batch])")
    work = _Work(setup, window, stop)
    setup.clear()
    try:
        whole = work.run()
    except Exception:
        if not work.told:
            setup.ranks.fail()
        raise
    unit = setup.ranks.size / work.multiplier(whole)  # the wrappers average over ranks
    return Accumulated(whole, unit, work.divides(whole), work.stop)


class _Work:
    """One accumulation, under way."""

    def __init__(self, setup: Setup, window: Sequence[Any], stop: bool) -> None:
        self.setup, self.window, self.stop = setup, window, stop
        self.told = False  # whether the other ranks have heard of this window
        self.seen: list[LossSum] = []
        self.passes = setup.ranks.passes(len(window))
        self.alone = self.passes == 1 and setup.ranks.size == 1

    def run(self) -> LossSum:
        """Run forward and backward of every micro-batch; return the sums over all."""
        whole = _UNKNOWN
        for j in range(self.passes):
            last = j == self.passes - 1
            with self.setup.ranks.synced(last):
                part = self._forward(j)
                self.seen.append(part.detach())
                if not self.told and (last or part.parts or self.unscaled):
                    whole = self._tell(part, j)
                first = self.seen[0].parts.keys()
                if part.parts.keys() != first or (self.told and whole.parts.keys() != first):
                    raise ValueError(f"the parts of the loss must be the same in every micro-batch, got {sorted(part.parts)}")
                self._backward(part, whole)
        return whole

    @property
    def unscaled(self) -> bool:
        """Whether it is not known yet of what size the sums are."""
        return self.setup.scaler is not None and self.setup.scaler.nominal is None

    def multiplier(self, whole: LossSum) -> float:
        """Return what is to be multiplied to the sums to keep gradients within float16: the scale, of the mean."""
        scaler = self.setup.scaler
        if scaler is None:
            return 1.0
        return scaler.scale if self.divides(whole) else scaler.scale / (scaler.nominal or 1.0)

    def divides(self, whole: LossSum) -> bool:
        """Return whether backward runs on means."""
        return bool(whole.parts) or self.alone

    def _forward(self, j: int) -> LossSum:
        """The j-th micro-batch's loss; past the end of the window, that of the last one with weight 0."""
        part = self.setup.forward(self.window[min(j, len(self.window) - 1)], self.alone)
        if j < len(self.window):
            return part
        return LossSum(part.total * 0, 0, parts={name: (total * 0, 0) for name, (total, _) in part.parts.items()})

    def _tell(self, part: LossSum, j: int) -> LossSum:
        """The sums over the window and all ranks; those after the j-th are found without gradients and without a trace."""
        rest: list[LossSum] = []
        if j < self.passes - 1:
            with Surroundings(self.setup.model).kept(), torch.no_grad():
                rest = [self._forward(k).detach() for k in range(j + 1, self.passes)]
        elif self.setup.ranks.size > 1 and not part.total.requires_grad:
            fix = "return the sum of its output times 0, with count 0"
            raise ValueError(f"the loss of the last micro-batch does not depend on the model; {fix}")
        self.told = True
        whole, self.stop = self.setup.ranks.exchange(reduce(add, [*self.seen, *rest]), self.stop)
        if self.setup.scaler is not None and self.setup.scaler.nominal is None:
            self.setup.scaler.nominal = float(whole.count) or None
        return whole

    def _backward(self, part: LossSum, whole: LossSum) -> None:
        total = part.over(whole) if self.divides(whole) else part.total
        if self.setup.scaler is not None:
            total = total.to(torch.promote_types(total.dtype, torch.float32)) * self.multiplier(whole)
        if total.requires_grad:  # not so for a micro-batch that the loss function gave up early
            total.backward()
