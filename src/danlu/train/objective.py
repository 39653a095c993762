"""The mean loss of one window, as a function of the weights alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from typing import Any, final

import torch
from torch import Tensor

from danlu.loss import LossSum
from danlu.train.accumulate import Accumulated, accumulate
from danlu.train.clip import clip_coefficient
from danlu.train.gradients import nonfinite_names, norms, on_host, optimized, scale
from danlu.train.replay import Surroundings
from danlu.train.report import NonFiniteError, NothingCountedError, Report
from danlu.train.setup import Setup

__all__ = ["Objective"]


@final
class Objective:
    """f(w) = (Σⱼ totalⱼ)/(Σⱼ countⱼ) over the micro-batches j; a call leaves ∇f(w), clipped, in ``p.grad``.

    Backward runs on the sums. When all are known, one norm of what is in the gradients tells whether it is finite,
    whether it is too long and what to log, and one multiplication undoes the loss scale and the ranks' average,
    divides by the count and clips. So it does not matter how the items were cut into micro-batches. Transforms of the
    gradient come in between and cost a second multiplication and norm.

    The second call and later ones evaluate the same f: the random numbers (dropout) are the first call's, and BatchNorm
    statistics move by the first only. So does an evaluation that is repeated because float16 overflowed.

    Args:
        setup: what is evaluated.
        window: the micro-batches.
        name: for messages, such as "update 12".
        stop: whether this rank wants the run to end.
    """

    def __init__(self, setup: Setup, window: Sequence[Any], name: str, stop: bool = False) -> None:
        self.setup, self.window, self.name, self.stop = setup, window, name, stop
        self.report: Report | None = None  # of the first call
        self._start = Surroundings(setup.model)
        self._scale = None if setup.scaler is None else setup.scaler.state_dict()
        self._backoffs = 0

    def __call__(self) -> Tensor:
        """Evaluate f and ∇f at the present weights, or raise the `AbandonedError` that says why there is no f.

        Returns:
            f(w), detached, the same on all ranks.
        """
        return self.evaluate().mean

    def evaluate(self) -> LossSum:
        """Do what a call does, and return the sums behind f."""
        again = self.report is not None
        with self._start.replayed() if again else nullcontext(), torch.enable_grad():
            sums, report = self._evaluate()
        if self.report is not None:
            evaluations, stop = self.report.evaluations + 1, self.report.stop or report.stop
            report = replace(self.report, evaluations=evaluations, backoffs=report.backoffs, scale=report.scale, stop=stop)
        self.report = report
        return sums

    def forget(self) -> None:
        """Undo what evaluating did: gradients, random states, buffers and the scale are as if there had been no call."""
        self.setup.clear()
        self._start.restore()
        if self.setup.scaler is not None and self._scale is not None:
            self.setup.scaler.load_state_dict(self._scale)

    def _evaluate(self) -> tuple[LossSum, Report]:
        scaler, clip = self.setup.scaler, self.setup.clip
        while True:
            found = accumulate(self.setup, self.window, self.stop)
            gradients = self.setup.gradients()
            report, unit = self._measure(found, gradients)
            if not report.skipped:
                break
            # a loss that is not finite is no overflow of its scaled gradients
            if scaler is None or not math.isfinite(report.loss) or not scaler.shrink():
                raise NonFiniteError(replace(report, reason=self._blame(report)))
            self._backoffs += 1
            self._start.restore()
        if not self.setup.transforms:
            scale(gradients, unit * (1.0 if clip is None else clip_coefficient(report.grad_norm, clip)))
            return found.sums, report
        scale(gradients, unit)
        norm = self._transformed(report)
        if clip is not None and norm > clip:
            scale(self.setup.gradients(), clip_coefficient(norm, clip))
        return found.sums, replace(report, clipped=clip is not None and norm > clip)

    def _transformed(self, report: Report) -> float:
        """Apply the transforms; return the norm afterwards."""
        changed = False
        for transform in self.setup.transforms:
            if transform([p for p in optimized(self.setup.optimizer) if p.grad is not None]) is not False:
                changed = True
        if not changed:
            return report.grad_norm
        norm = math.hypot(*on_host(norms(self.setup.gradients())))
        if not math.isfinite(norm):
            reason = self._blame(report).replace("loss is", "after the gradient transforms, loss is")
            raise NonFiniteError(replace(report, skipped=True, clipped=False, evaluations=0, reason=reason))
        return norm

    def _measure(self, found: Accumulated, gradients: list[Tensor]) -> tuple[Report, float]:
        """Return the numbers of an evaluation, and what turns ``p.grad`` into the gradient of the mean."""
        sums, scaler, clip = found.sums, self.setup.scaler, self.setup.clip
        pairs = {**sums.measures, **sums.parts}
        flat = [sums.total, sums.count, *(x for pair in pairs.values() for x in pair)]
        total, count, *rest = on_host([*flat, *(norms(gradients) if gradients else [])])
        numbers = {name: (rest[2 * i], rest[2 * i + 1]) for i, name in enumerate(pairs)}
        grad_norm = math.hypot(*rest[2 * len(pairs) :])
        parts = {name: numbers.pop(name) for name in sums.parts}
        terms = [(total, count), *parts.values()]
        empty = not any(n for _, n in terms)
        unit = found.unit if found.mean or not count else found.unit / count
        loss = math.nan if empty else math.fsum(a / n for a, n in terms if n)
        grad_norm *= unit
        finite = math.isfinite(loss) and math.isfinite(grad_norm)
        report = Report(
            loss=loss,
            count=count,
            grad_norm=grad_norm,
            clipped=finite and clip is not None and grad_norm > clip,
            skipped=not finite,
            lr=[float(group.get("lr", math.nan)) for group in self.setup.optimizer.param_groups],
            measures=numbers,
            total=total,
            parts=parts,
            evaluations=int(finite),
            backoffs=self._backoffs,
            scale=1.0 if scaler is None else scaler.scale,
            stop=found.stop,
        )
        self._refuse(report, gradients, [n for _, n in terms])
        return report, unit

    def _refuse(self, report: Report, gradients: list[Tensor], counts: list[float]) -> None:
        for n in counts:
            if not n >= 0:
                raise ValueError(f"{self.name}: the loss function counted {n} items; a count is at least 0")
        if not any(counts):
            reason = f"{self.name}: no item of the window counts (is every target masked?)"
            raise NothingCountedError(replace(report, reason=reason))
        if not gradients:
            fix = "is the loss detached, or was the optimizer made for another model?"
            raise ValueError(f"{self.name}: no parameter of the optimizer received a gradient; {fix}")

    def _blame(self, report: Report) -> str:
        names = list(islice(nonfinite_names(self.setup.model, self.setup.optimizer), 4))
        if names:
            where = f"non-finite gradients in {', '.join(names[:3])}{' and more' if len(names) > 3 else ''}"
        else:
            where = f"every gradient is finite, their norm is {report.grad_norm}"
        return f"{self.name}: loss is {report.loss:.6g}, {where}; lower lr, clip, or pass nonfinite='skip'"
