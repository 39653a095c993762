"""From micro-batches to the sum of their losses and of their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from danlu.loss import LossSum
from danlu.train.replay import Surroundings
from danlu.train.setup import Setup

__all__ = ["Accumulated", "accumulate"]

_UNKNOWN = LossSum(torch.zeros(()), 0)  # the sums over the window, before they are known


@final
class Accumulated(NamedTuple):
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
    setup.clear()
    if len(window) == 1 and setup.ranks.size == 1:
        return _single(setup, window[0], stop)
    work = _Work(setup, window, stop)
    try:
        whole = work.run()
    except Exception:
        if not work.told:
            setup.ranks.fail()
        raise
    unit = setup.ranks.size / work.multiplier(whole)  # the wrappers average over ranks
    return Accumulated(whole, unit, bool(whole.parts), work.stop)


def _single(setup: Setup, batch: Any, stop: bool) -> Accumulated:
    """A window whose sums are known after its only forward pass."""
    with setup.ranks.synced(True):
        part = setup.forward(batch, alone=True)
        if (scaler := setup.scaler) is not None and scaler.nominal is None:
            scaler.nominal = float(part.count) or None
        _backward(part.mean, None if scaler is None else scaler.scale)
    return Accumulated(part.detach(), 1.0 if scaler is None else 1.0 / scaler.scale, mean=True, stop=stop)


def _backward(loss: Tensor, factor: float | None) -> None:
    """Add the gradients of loss·factor, a factor for float16 being applied in float32."""
    if factor is not None:
        loss = loss.to(torch.promote_types(loss.dtype, torch.float32)) * factor
    if loss.requires_grad:  # not so for a micro-batch that the loss function gave up early
        loss.backward()


class _Work:
    """One accumulation, under way."""

    def __init__(self, setup: Setup, window: Sequence[Any], stop: bool) -> None:
        self.setup, self.window, self.stop = setup, window, stop
        self.told = False  # whether the other ranks have heard of this window
        self.seen: list[LossSum] = []
        self.passes = setup.ranks.passes(len(window))

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
                loss = part.over(whole) if whole.parts else part.total
                _backward(loss, None if self.setup.scaler is None else self.multiplier(whole))
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
        return scaler.scale if whole.parts else scaler.scale / (scaler.nominal or 1.0)

    def _forward(self, j: int) -> LossSum:
        """The j-th micro-batch's loss; past the end of the window, that of the last one with weight 0."""
        part = self.setup.forward(self.window[min(j, len(self.window) - 1)], alone=False)
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
