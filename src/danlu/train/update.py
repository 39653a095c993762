"""One optimizer update from a window of micro-batches, equal to that of the one large batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from danlu.ranges import Count, Positive, check, hints
from danlu.registry import did_you_mean
from danlu.train.batch import split_batch
from danlu.train.gradients import optimized
from danlu.train.objective import Objective
from danlu.train.precision import Precision
from danlu.train.ranks import Ranks
from danlu.train.report import AbandonedError, NonFiniteError, Report
from danlu.train.scaler import LossScaler
from danlu.train.setup import Setup
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
    when ``step`` demands one, as `torch.optim.LBFGS` does, and "grad" otherwise. One that clips by itself says so by its
    attribute ``clips``, a sequence of descriptions, and `clip` is refused beside it. With "closure" the weights and the
    optimizer's state are copied in every update, since only then can a failed one be taken back.

    Exact are the gradient and all that follows from it, for losses that are sums over items. Not sums, and so
    dependent on the micro-batches: BatchNorm statistics, losses that couple the items of a batch (contrastive
    ones), and which dropout masks are drawn.

    Inside a process group, a model in DistributedDataParallel or `fully_shard` makes f the mean over the windows of all
    ranks, which may differ in length; see `Ranks`. A bare model is trained by each process for itself.

    Args:
        model: what is trained; its mode (train or eval) is left alone.
        loss: ``loss(model, batch)`` returns a `LossSum` or (sum, count); a bare mean if windows have one batch.
        optimizer: any `torch.optim.Optimizer`.
        precision: of the forward pass; weights stay as they are. With "fp16" the loss is scaled by a `LossScaler`, and
            an overflow of the gradients is no failure: the same evaluation is made again with a smaller scale.
        transforms: ``transform(parameters)`` changes ``p.grad`` of the mean loss in place, before it is clipped; the report
            has the norm before. One that returns False has changed nothing, and a second norm is saved if none has.
        clip: the largest global 2-norm of the gradient of the mean loss, or None; see `clip_coefficient`.
        nonfinite: "raise" a `NonFiniteError`; or "skip" the update and say so in the report; or skip it and ask the
            loop to "stop", by ``report.stop``.
        max_skips: with "skip", this many updates in a row that were not finite raise after all.
        micro_batch: cut every batch into pieces of at most this many items, for less memory; None takes batches as they come.
        split: ``split(batch, micro_batch)`` returns the pieces; see `split_batch`.

    Attributes:
        applied: how many updates there have been.
        skips: how many windows led to none.
        scaler: the `LossScaler` of "fp16", else None.

    Raises:
        ValueError: on a value out of its range, an unknown need, `clip` beside an optimizer that clips, or "fp16" for weights
            that are in float16 themselves.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[nn.Module, Any], Any],
        optimizer: torch.optim.Optimizer,
        *,
        precision: Precision = "fp32",
        transforms: Sequence[Callable[[Sequence[Tensor]], bool | None]] = (),
        clip: Positive | None = None,
        nonfinite: Literal["raise", "skip", "stop"] = "raise",
        max_skips: Count = 100,
        micro_batch: Count | None = None,
        split: Callable[[Any, int], Sequence[Any]] = split_batch,
    ) -> None:
        given = {
            "precision": precision,
            "clip": clip,
            "nonfinite": nonfinite,
            "max_skips": max_skips,
            "micro_batch": micro_batch,
        }
        check("Update", hints(Update.__init__), given)
        if precision == "fp16" and any(p.dtype == torch.float16 for p in optimized(optimizer)):
            raise ValueError("Update: precision='fp16' keeps the weights in float32, got float16 ones; use model.float()")
        if clip is not None and (twice := getattr(optimizer, "clips", ())):
            raise ValueError(
                f"Update: clip={clip:g} beside the optimizer's own {twice[0]} clips the gradient twice; leave one of them out "
                "(in a recipe: clip = 'none')"
            )
        self.scaler = LossScaler() if precision == "fp16" else None
        self.setup = Setup(model, loss, optimizer, precision, tuple(transforms), clip, self.scaler, Ranks(model))
        self.optimizer, self.nonfinite, self.max_skips = optimizer, nonfinite, max_skips
        self.micro_batch, self.split = micro_batch, split
        self.needs = _needs(optimizer)
        self.applied = 0
        self.skips = 0
        self._in_a_row = 0

    def __call__(self, window: Sequence[Any], *, stop: bool = False) -> Report:
        """Make one update.

        Args:
            window: the micro-batches; their tensors are moved to the model's device, one micro-batch at a time.
            stop: whether this rank wants the run to end; ``report.stop`` says whether any does.

        Returns:
            What was done; ``skipped`` when nothing was.

        Raises:
            ValueError: for an empty window; also for a negative count, or a loss that reaches no parameter.
            RuntimeError: when the optimizer needs a closure and does not call it.
            NonFiniteError: with ``nonfinite="raise"``, before anything has changed.
            RankError: when another rank failed.
        """
        if self.micro_batch is not None:
            window = [piece for batch in window for piece in self.split(batch, self.micro_batch)]
        objective = Objective(self.setup, window, f"update {self.applied}", stop)
        try:
            self._step(objective)
        except AbandonedError as abandoned:
            objective.forget()
            return self._abandoned(abandoned)
        if objective.report is None:
            raise RuntimeError(f"{type(self.optimizer).__name__}.step did not call the closure that it needs")
        self.applied += 1
        self._in_a_row = 0
        if self.scaler is not None:
            self.scaler.count()
        return objective.report

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers that are carried from update to update; model and optimizer have their own."""
        scaler = {} if self.scaler is None else {"scaler": self.scaler.state_dict()}
        return {"applied": self.applied, "skips": self.skips, "in_a_row": self._in_a_row, **scaler}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the numbers.

        Args:
            state: what `state_dict` returned; one without a scaler leaves ours as it is, one with a scaler that is not
                needed here is not an error, so that a run may go on in another precision.

        Raises:
            ValueError: when a name is missing or a value out of its range; nothing was changed then.
        """
        if missing := {"applied", "skips", "in_a_row"} - set(state):
            raise ValueError(f"Update: the state has no {min(missing)!r}, got {sorted(state)}")
        if self.scaler is not None and "scaler" in state:
            self.scaler.load_state_dict(state["scaler"])
        self.applied, self.skips, self._in_a_row = (int(state[name]) for name in ("applied", "skips", "in_a_row"))

    def _step(self, objective: Objective) -> None:
        if "closure" in self.needs:
            with transaction(self.optimizer):
                # torch's annotation wants a float, but its L-BFGS and others convert a tensor themselves
                self.optimizer.step(objective)  # pyrefly: ignore[no-matching-overload]
            return
        if "loss" in self.needs:
            self.optimizer.step(loss=objective())  # pyrefly: ignore[no-matching-overload]
        else:
            objective.evaluate()
            self.optimizer.step()

    def _abandoned(self, abandoned: AbandonedError) -> Report:
        report = abandoned.report
        if isinstance(abandoned, NonFiniteError):
            if self.nonfinite == "raise":
                raise NonFiniteError(report) from None
            self._in_a_row += 1
            if self._in_a_row >= self.max_skips:
                reason = f"{report.reason}; number {self._in_a_row} in a row, which is max_skips"
                raise NonFiniteError(replace(report, reason=reason)) from None
            report = replace(report, stop=report.stop or self.nonfinite == "stop")
        self.skips += 1
        return report


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
