"""Observers that write lines: for people, and for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TextIO, final

from danlu.schedule import Duration
from danlu.train.clock import Clock
from danlu.train.events import Observer, Result, Row
from danlu.train.report import Report

__all__ = ["JsonLines", "PlainLog"]


@final
class PlainLog(Observer):
    """Prints a plain line per evaluation, per skipped update, and per `every` updates.

    Args:
        every: from one line to the next, such as 100, ``"1ep"`` or ``"30s"``; None for none in between.
        stream: where to; None is stderr.
    """

    def __init__(self, every: int | str | Duration | None = None, stream: TextIO | None = None) -> None:
        self.every, self.stream = None if every is None else Duration.parse(every), stream

    def start(self, clock: Clock) -> None:
        """Print how long the run will be."""
        length = _updates(clock.total) if clock.until is None else str(clock.until)
        each = "" if clock.until is None else " updates"
        epoch = "" if clock.steps_per_epoch is None else f", {clock.steps_per_epoch}{each} an epoch"
        self._print(f"training: {length}{epoch}{f', from update {clock.done} on' if clock.done else ''}")

    def update(self, clock: Clock, report: Report) -> None:
        """Print what was skipped, and every so many updates the numbers of one."""
        if report.skipped:
            self._print(f"{_where(clock)}  skipped: {report.reason}")
        elif self.every and clock.due(self.every):
            numbers = {"loss": report.loss, "grad_norm": report.grad_norm, "lr": report.lr[0]}
            self._print(f"{_where(clock)}  {_numbers(numbers)}")

    def evaluated(self, clock: Clock, row: Row) -> None:
        """Print the means."""
        self._print(f"{_where(clock)}  {_numbers({k: v for k, v in row.items() if '/' in k or k == 'lr'})}")

    def end(self, clock: Clock, result: Result) -> None:
        """Print how the run ended, and where its files are."""
        how = "failed" if result.error else "interrupted" if result.interrupted else "stopped" if result.stopped else "finished"
        saved = f"; weights in {result.path}" if result.path and not result.error else ""
        why = f": {result.stopped}" if how == "stopped" else ""
        self._print(f"{how} after {_updates(result.steps)}, {result.seconds:.1f} s{saved}{why}")

    def _print(self, line: str) -> None:
        stream = self.stream or sys.stderr  # looked up late: it may have been redirected since
        stream.write(line + "\n")
        stream.flush()


def _updates(n: int | None) -> str:
    return f"{n} update" if n == 1 else f"{n} updates"


def _where(clock: Clock) -> str:
    if clock.total is None:
        return f"update {clock.done}  {clock.progress:.0%}  epoch {clock.epoch:.4g}"
    return f"update {clock.done:>{len(str(clock.total))}}/{clock.total}  epoch {clock.epoch:.4g}"


def _numbers(numbers: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())


@final
class JsonLines(Observer):
    """Writes one JSON object per line, at once: "start" or "resume", "update", "evaluated" and "end" events.

    A nan is written as NaN, which Python's `json` reads back: a run that went wrong must not look right.

    Args:
        path: the file; lines are appended.
        every: from one "update" line to the next, as in `PlainLog`; None for none. Skipped updates are always written.
    """

    def __init__(self, path: str | PathLike[str], every: int | str | Duration | None = None) -> None:
        self.path, self.every = Path(path), None if every is None else Duration.parse(every)

    def start(self, clock: Clock) -> None:
        """Open the file."""
        self._file = self.path.open("ab", buffering=0)  # what cannot be written must not wait in a buffer
        self._write("resume" if clock.done else "start", total=clock.total, steps_per_epoch=clock.steps_per_epoch)

    def update(self, clock: Clock, report: Report) -> None:
        """Write one update's numbers."""
        if report.skipped or (self.every and clock.due(self.every)):
            numbers = {"loss": report.loss, "count": report.count, "grad_norm": report.grad_norm, "lr": report.lr}
            why = {"skipped": report.reason} if report.skipped else {}
            self._write("update", step=clock.step, epoch=clock.epoch, **numbers, clipped=report.clipped, **why)

    def evaluated(self, clock: Clock, row: Row) -> None:
        """Write the row."""
        self._write("evaluated", **row)

    def end(self, clock: Clock, result: Result) -> None:
        """Write how it ended and close the file."""
        self._write("end", steps=result.steps, skipped=result.skipped, interrupted=result.interrupted)
        self._file.close()

    def _write(self, event: str, **values: Any) -> None:
        line = memoryview(json.dumps({"event": event, **values}).encode() + b"\n")
        while line:
            line = line[self._file.write(line) :]
