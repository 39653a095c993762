"""One turn of a trainer's loop, handed to whoever owns its body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

from danlu.train.clock import Clock
from danlu.train.report import Report

__all__ = ["Step"]


@final
class Step:
    """A window that waits for its update.

    Args:
        window: its micro-batches, those of the `batch` callbacks.
        clock: before the update.
        apply: makes the update.

    Attributes:
        report: of the update, once it is made; set it yourself if you have made the update in your own way.
        error: what `update` raised, in one line, or empty.
    """

    def __init__(self, window: list[Any], clock: Clock, apply: Callable[[Sequence[Any]], Report]) -> None:
        self.window, self.clock, self._apply = window, clock, apply
        self.report: Report | None = None
        self.error = ""

    def made(self) -> Report:
        """Return the report.

        Raises:
            RuntimeError: when there was no update.
        """
        if self.report is None:
            raise RuntimeError(f"Trainer.steps: window {self.clock.done} had no update; call step.update() in the loop")
        return self.report

    def update(self, window: Sequence[Any] | None = None) -> Report:
        """Make the update; call it once.

        Args:
            window: other micro-batches than `window`.

        Returns:
            Its report.
        """
        try:
            self.report = self._apply(self.window if window is None else window)
        except BaseException as problem:
            self.error = f"{type(problem).__name__}: {problem}"
            raise
        return self.report
