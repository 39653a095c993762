"""What a run tells those who watch it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from danlu.train.report import Report

__all__ = ["Clock", "Observer", "Result", "Row"]

Row = dict[str, float]
"""Numbers by name: "step", "epoch", "seconds", "lr" (of the first group), "skipped", "train/loss", "valid/loss", …"""


@final
@dataclass(frozen=True)
class Clock:
    """Where a run is.

    Args:
        total: windows that the run will take, each one update or a skipped one.
        steps_per_epoch: windows of an epoch.
        done: windows taken.
        step: updates applied, the number of the next one; schedules go by it.
        seconds: since the start.
    """

    total: int
    steps_per_epoch: int
    done: int = 0
    step: int = 0
    seconds: float = 0.0

    @property
    def epoch(self) -> float:
        """Epochs gone by, with fractions."""
        return self.done / self.steps_per_epoch

    @property
    def skipped(self) -> int:
        """Windows that led to no update."""
        return self.done - self.step

    def after(self, report: Report, seconds: float) -> Clock:
        """Return the clock after one more window."""
        return replace(self, done=self.done + 1, step=self.step + (not report.skipped), seconds=seconds)


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
        interrupted: whether Ctrl-C ended it early.
        path: the run's folder, or None.
        error: what ended it, in one line, when something did that the run also raises; else empty.
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


class Observer:
    """Watches a run. Derive from it and write what you need: each method here does nothing.

    Observers see, they don't touch: whoever wants to change the run writes the loop around `Update`. What an
    observer raises ends the run.
    """

    def start(self, clock: Clock) -> None:
        """Before the first update."""

    def update(self, clock: Clock, report: Report) -> None:
        """After every window, skipped ones too; the clock has counted it."""

    def evaluated(self, clock: Clock, row: Row) -> None:
        """After an evaluation; the row has the means over the training items since the last one, too."""

    def end(self, clock: Clock, result: Result) -> None:
        """After the last update; also when the run was interrupted or failed."""
