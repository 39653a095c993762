"""What one update did, or why it did not happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

__all__ = ["AbandonedError", "NonFiniteError", "NothingCountedError", "Report"]


@final
@dataclass(frozen=True)
class Report:
    """The numbers of one update, of all ranks, on the host; with a closure, those of its first evaluation.

    Args:
        loss: the mean over all items of the window, before the update; nan when there is none.
        count: the items of the window.
        grad_norm: ‖g‖₂ of the gradient of the mean loss, before clipping.
        clipped: whether the norm was above `clip`.
        skipped: whether nothing was changed; then `reason` says why.
        measures: the loss function's, name → (sum, count).
        lr: of every parameter group, in this update.
        reason: why the update was skipped.
        total: the sum behind the loss, of its main term when it has parts.
        parts: further terms of the loss, name → (sum, count).
        evaluations: how often the loss of the window was evaluated, back-offs not counted; 0 when skipped.
        backoffs: how often it was evaluated again with a smaller scale, in float16.
        scale: of the loss in the last evaluation, 1 without a scaler.
        stop: whether the run should end, which a rank asked for or ``nonfinite="stop"`` demands.
    """

    loss: float
    count: float
    grad_norm: float
    clipped: bool
    skipped: bool
    lr: list[float]
    measures: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    reason: str = ""
    total: float = 0.0
    parts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    evaluations: int = 1
    backoffs: int = 0
    scale: float = 1.0
    stop: bool = False


class AbandonedError(Exception):
    """An update that must not happen; it carries the report of it."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.reason)
        self.report = report


class NonFiniteError(AbandonedError, ArithmeticError):
    """The loss or a gradient is inf or nan; the message names the first parameters whose gradient is."""


class NothingCountedError(AbandonedError):
    """The window has no item that counts, such as when every target is masked: there is no mean to follow."""
