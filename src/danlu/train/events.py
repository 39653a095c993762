"""What a run tells those who watch it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from danlu.train.clock import Clock
from danlu.train.report import Report

__all__ = ["Observer", "Result", "Row"]

Row = dict[str, float]
"""Numbers by name: "step", "epoch", "seconds", "lr" (of the first group), "skipped", "train/loss", "valid/loss", …"""


@final
@dataclass(frozen=True)
class Result:
    """What a run came to.

    Args:
        history: one row per evaluation, in order.
        final: the last row; empty when there was no evaluation.
        best: the row with the lowest "valid/loss" ("train/loss" without validation data), the first if several.
        steps: updates applied.
        skipped: windows that led to none.
        seconds: evaluations included.
        interrupted: whether it was ended early, by a signal or by leaving the loop.
        path: the run's folder, or None.
        error: what ended it, in one line, when something did that the run also raises; else empty.
        stopped: why a callback ended it before its length, such as early stopping; else empty.
        signal: what ended it early, "SIGINT" or "SIGTERM"; else empty.
    """

    history: list[Row]
    final: Row
    best: Row
    steps: int
    skipped: int
    seconds: float
    interrupted: bool
    path: Path | None
    error: str = ""
    stopped: str = ""
    signal: str = ""


class Observer:
    """Watches a run. Derive from it and write what you need: each method here does nothing.

    Observers see, they don't touch: whoever wants to take part derives from `Callback`, or owns the loop with
    `Trainer.steps`. What an observer raises ends the run.
    """

    def start(self, clock: Clock) -> None:
        """Before the first update; ``clock.done`` is above 0 when the run is resumed."""

    def update(self, clock: Clock, report: Report) -> None:
        """After every window, skipped ones too; the clock has counted it."""

    def evaluated(self, clock: Clock, row: Row) -> None:
        """After an evaluation; the row has the means over the training items since the last one, too."""

    def settled(self, clock: Clock) -> None:
        """After all that belongs to a window, evaluations too: where `Trainer.state_dict` is that of the next window."""

    def end(self, clock: Clock, result: Result) -> None:
        """After the last update; also when the run was interrupted or failed."""
