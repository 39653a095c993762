"""The mean loss of one window, as a function of the weights alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any, final

import torch
from torch import Tensor, nn

from danlu.loss import LossSum, as_loss_sum
from danlu.train.batch import device_of, to_device
from danlu.train.clip import clip_coefficient
from danlu.train.gradients import nonfinite_names, optimized, scale, total_norm
from danlu.train.replay import Surroundings
from danlu.train.report import NonFiniteError, NothingCountedError, Report

__all__ = ["Objective"]


@final
class Objective:
    """f(w) = (Σⱼ totalⱼ)/(Σⱼ countⱼ) over the micro-batches j; a call leaves ∇f(w), clipped, in ``p.grad``.

    Backward runs on the sums; when all are known, one multiplication by 1/Σ count makes them the gradient of the
    mean. So it does not matter how the items were cut into micro-batches. The second call and later ones evaluate
    the same f: the random numbers (dropout) are the first call's, and BatchNorm statistics move by the first only.

    Args:
        model: what is trained.
        loss: ``loss(model, batch)``, the user's.
        optimizer: whose parameters' gradients are normalised, measured and clipped.
        window: the micro-batches.
        clip: the largest norm of ∇f, or None.
        name: for messages, such as "update 12".
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[nn.Module, Any], Any],
        optimizer: torch.optim.Optimizer,
        window: Sequence[Any],
        clip: float | None,
        name: str,
    ) -> None:
        self.model, self.loss, self.optimizer, self.window, self.clip = model, loss, optimizer, window, clip
        self.name = name
        self.report: Report | None = None  # of the first call
        self._start = Surroundings(model)

    def __call__(self) -> Tensor:
        """Evaluate f and ∇f at the present weights, or raise the `AbandonedError` that says why there is no f.

        Returns:
            f(w), detached.
        """
        again = self.report is not None
        with self._start.replayed() if again else nullcontext(), torch.enable_grad():
            sums = self._accumulate()
        gradients = [p.grad for p in optimized(self.optimizer) if p.grad is not None]
        report = self._normalise(sums, gradients)
        self.report = self.report or report
        if self.clip is not None and report.clipped:
            scale(gradients, clip_coefficient(report.grad_norm, self.clip))
        return sums.mean

    def forget(self) -> None:
        """Undo what evaluating did: gradients, random states and buffers are as if there had been no call."""
        self._clear()
        self._start.restore()

    def _clear(self) -> None:
        for p in (*self.model.parameters(), *optimized(self.optimizer)):
            p.grad = None

    def _accumulate(self) -> LossSum:
        """Leave Σⱼ ∇totalⱼ in the gradients."""
        self._clear()
        device = device_of(self.model)
        sums = LossSum(torch.zeros(()), 0)
        for batch in self.window:
            part = as_loss_sum(self.loss(self.model, to_device(batch, device)), alone=len(self.window) == 1)
            if part.total.requires_grad:  # not so for a micro-batch that the loss function gave up early
                part.total.backward()
            sums += part.detach()
        return sums

    def _normalise(self, sums: LossSum, gradients: list[Tensor]) -> Report:
        """Make the gradients those of the mean."""
        count = float(sums.count)
        measures = {name: (float(total), float(items)) for name, (total, items) in sums.measures.items()}
        lr = [float(group.get("lr", math.nan)) for group in self.optimizer.param_groups]
        if count == 0:
            reason = f"{self.name}: no item of the window counts (is every target masked?)"
            raise NothingCountedError(Report(math.nan, 0.0, 0.0, False, True, lr, measures, reason))
        if not count > 0:
            raise ValueError(f"{self.name}: the loss function counted {count} items; a count is at least 0")
        if not gradients:
            fix = "is the loss detached, or was the optimizer made for another model?"
            raise ValueError(f"{self.name}: no parameter of the optimizer received a gradient; {fix}")
        scale(gradients, 1.0 / count)
        loss, norm = float(sums.total) / count, total_norm(gradients)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise NonFiniteError(Report(loss, count, norm, False, True, lr, measures, self._blame(loss, norm)))
        return Report(loss, count, norm, self.clip is not None and norm > self.clip, False, lr, measures)

    def _blame(self, loss: float, norm: float) -> str:
        names = list(islice(nonfinite_names(self.model, self.optimizer), 4))
        if names:
            where = f"non-finite gradients in {', '.join(names[:3])}{' and more' if len(names) > 3 else ''}"
        else:
            where = f"every gradient is finite, their norm is {norm}"
        return f"{self.name}: loss is {loss:.6g}, {where}; lower lr, clip, or pass nonfinite='skip'"
