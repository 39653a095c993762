"""A live line for people who watch a run in a terminal."""

from __future__ import annotations

import time
from typing import final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from danlu.train import Clock, Observer, Report, Result
from danlu.train.events import Row

__all__ = ["LiveLine"]

_SECONDS = 0.1  # from one drawing to the next: fluent to the eye, and nothing beside an update


@final
class LiveLine(Observer):
    """One line that is drawn over again, and above it a lasting one per evaluation.

    Args:
        console: a terminal.
        item: what the loss counts, such as "image".
    """

    def __init__(self, console: Console, item: str) -> None:
        self.console, self.item = console, item
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._items = 0.0
        self._drawn = 0.0

    def start(self, clock: Clock) -> None:
        """Take the line."""
        self._live.start()

    def update(self, clock: Clock, report: Report) -> None:
        """Draw the line, if the last drawing is some time ago."""
        self._items += report.count
        if report.skipped:
            self.console.print(f"update {clock.done} skipped: {report.reason}", markup=False, highlight=False)
        now = time.perf_counter()
        if now - self._drawn >= _SECONDS:
            self._drawn = now
            self._live.update(Text(self._line(clock, report), no_wrap=True, overflow="ellipsis"), refresh=True)

    def _line(self, clock: Clock, report: Report) -> str:
        left = clock.seconds * (1 - clock.progress) / max(clock.progress, 1e-9)
        parts = [
            f"epoch {clock.epoch:.1f}",
            f"update {clock.done}" + ("" if clock.total is None else f"/{clock.total}"),
            f"loss {report.loss:.3f}",
            f"lr {report.lr[0]:.1e}",
            f"|g| {report.grad_norm:.2g}",
            f"eta {int(left // 60)}:{int(left % 60):02}",
            f"{quantity(self._items / clock.seconds)} {self.item}s/s",
        ]  # the least wanted last: a narrow terminal cuts it off
        return "  ".join(parts)

    def evaluated(self, clock: Clock, row: Row) -> None:
        """Print the means, above the line."""
        words = [f"epoch {clock.epoch:>4.4g}", f"train loss {row['train/loss']:.4f}", f"test loss {row['valid/loss']:.4f}"]
        if "valid/accuracy" in row:
            words.append(f"test accuracy {row['valid/accuracy']:.2%}")
        self.console.print("  ".join(words), markup=False, highlight=False)

    def end(self, clock: Clock, result: Result) -> None:
        """Give the line back."""
        self._live.stop()


def quantity(x: float) -> str:
    """Write a number to about three digits, with k and M for thousands and millions."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if x >= size:
            return f"{x / size:.3g}{letter}"
    return f"{x:.3g}"
