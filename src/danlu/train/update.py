"""One optimizer update from a window of micro-batches, equal to that of the one large batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, final

import torch
from torch import nn

from danlu.ranges import Positive, check, hints
from danlu.registry import did_you_mean
from danlu.train.objective import Objective
from danlu.train.report import AbandonedError, NonFiniteError, Report
from danlu.train.transaction import transaction

__all__ = ["Update"]

_NEEDS = frozenset({"grad", "loss", "closure"})


@final
class Update:
    """w ← optimizer(w, ∇f(w)) with f = (Σⱼ totalⱼ)/(Σⱼ countⱼ) over the micro-batches j of a window; see `Objective`.

    The order is fixed: sums, normalised by the count, then tested to be finite, then clipped by the global norm,
    then given to the optimizer, which therefore advances once per window. An update that must not happen (nothing
    counts, or not finite) leaves weights, optimizer state, buffers and random states as they were, bit for bit.

    The optimizer gets what its ``needs`` names, a subset of "grad" (``step()``), "loss" (``step(loss=mean)``) and
    "closure" (``step(evaluate)``, each call of which evaluates the same f). Without the attribute it is "closure"
    when ``step`` demands one, as `torch.optim.LBFGS` does, and "grad" otherwise. With "closure" the weights and the
    optimizer's state are copied in every update, since only then can a failed one be taken back.

    Exact are the gradient and all that follows from it, for losses that are sums over items. Not sums, and so
    dependent on the micro-batches: BatchNorm statistics, losses that couple the items of a batch (contrastive
    ones), and which dropout masks are drawn.

    Args:
        model: what is trained; its mode (train or eval) is left alone.
        loss: ``loss(model, batch)`` returns a `LossSum` or (sum, count); a bare mean if windows have one batch.
        optimizer: any `torch.optim.Optimizer`.
        clip: the largest global 2-norm of the gradient of the mean loss, or None; see `clip_coefficient`.
        nonfinite: "raise" a `NonFiniteError`, or "skip" the update and say so in the report.

    Attributes:
        applied: how many updates there have been.
        skips: how many windows led to none.

    Raises:
        ValueError: on a clip that is not positive, or an unknown `nonfinite` or need.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[nn.Module, Any], Any],
        optimizer: torch.optim.Optimizer,
        *,
        clip: Positive | None = None,
        nonfinite: Literal["raise", "skip"] = "raise",
    ) -> None:
        check("Update", hints(Update.__init__), {"clip": clip, "nonfinite": nonfinite})
        self.model, self.loss, self.optimizer, self.clip, self.nonfinite = model, loss, optimizer, clip, nonfinite
        self.needs = _needs(optimizer)
        self.applied = 0
        self.skips = 0

    def __call__(self, window: Sequence[Any]) -> Report:
        """Make one update.

        Args:
            window: the micro-batches; their tensors are moved to the model's device, one micro-batch at a time.

        Returns:
            What was done; ``skipped`` when nothing was.

        Raises:
            ValueError: for an empty window; also for a negative count, or a loss that reaches no parameter.
            RuntimeError: when the optimizer needs a closure and does not call it.
            NonFiniteError: with ``nonfinite="raise"``, before anything has changed.
        """
        if not window:
            raise ValueError("Update: the window is empty; give it at least one batch, as in update([batch])")
        objective = Objective(self.model, self.loss, self.optimizer, window, self.clip, f"update {self.applied}")
        try:
            self._step(objective)
        except AbandonedError as abandoned:
            objective.forget()
            if self.nonfinite == "raise" and isinstance(abandoned, NonFiniteError):
                raise NonFiniteError(abandoned.report) from None
            self.skips += 1
            return abandoned.report
        if objective.report is None:
            raise RuntimeError(f"{type(self.optimizer).__name__}.step did not call the closure that it needs")
        self.applied += 1
        return objective.report

    def _step(self, objective: Objective) -> None:
        if "closure" in self.needs:
            with transaction(self.optimizer):
                # torch's annotation wants a float, but its L-BFGS and others convert a tensor themselves
                self.optimizer.step(objective)  # pyrefly: ignore[no-matching-overload]
            return
        loss = objective()
        if "loss" in self.needs:
            self.optimizer.step(loss=loss)  # pyrefly: ignore[no-matching-overload]
        else:
            self.optimizer.step()


def _needs(optimizer: torch.optim.Optimizer) -> frozenset[str]:
    """What ``optimizer.step`` is to be given."""
    declared = getattr(optimizer, "needs", None)
    if declared is None:
        closure = inspect.signature(optimizer.step).parameters.get("closure")
        return frozenset({"grad" if closure is None or closure.default is None else "closure"})
    for need in declared:
        if need not in _NEEDS:
            raise ValueError(f"{type(optimizer).__name__} needs {need!r}{did_you_mean(need, _NEEDS)}")
    return frozenset(declared)
