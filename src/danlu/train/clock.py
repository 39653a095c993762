"""Where a run is, in every unit that a length may have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, final

from danlu.schedule import Duration
from danlu.train.report import Report

__all__ = ["Clock"]

_NEAR = 0.25  # of an interval: what falls due so shortly before the end is left to the end


@final
@dataclass(frozen=True)
class Clock:
    """Where a run is; a value, new after every window.

    Args:
        total: windows that the run will take, each one update or a skipped one; None when that is not known beforehand:
            for a length in samples or time, or in epochs of data without a length.
        steps_per_epoch: windows of an epoch, or None for data without a length.
        done: windows taken.
        step: updates applied, the number of the next one; schedules go by it.
        seconds: of the run, evaluations included; a resumed run goes on from where it was.
        until: the run's length where `total` is None.
        samples: items that the losses have counted, those of skipped windows too.
        epochs: the number of the epoch under way.
        within: windows taken of that epoch: with `epochs`, the place in the data.
        last_samples: what the latest window added to `samples`.
        last_seconds: what it added to `seconds`.
    """

    total: int | None
    steps_per_epoch: int | None
    done: int = 0
    step: int = 0
    seconds: float = 0.0
    until: Duration | None = None
    samples: float = 0.0
    epochs: int = 0
    within: int = 0
    last_samples: float = 0.0
    last_seconds: float = 0.0

    @property
    def epoch(self) -> float:
        """Epochs gone by, with fractions; whole ones for data without a length."""
        return float(self.epochs) if self.steps_per_epoch is None else self.done / self.steps_per_epoch

    @property
    def skipped(self) -> int:
        """Windows that led to no update."""
        return self.done - self.step

    @property
    def progress(self) -> float:
        """The share of the run that is over, in [0, 1]."""
        if self.total is not None:
            return min(self.done / self.total, 1.0)
        return 0.0 if self.until is None else min(self.elapsed(self.until) / self.until.size, 1.0)

    @property
    def finished(self) -> bool:
        """Whether the run has had its length."""
        return self.progress >= 1.0

    def elapsed(self, like: Duration) -> float:
        """Return what has gone by of what `like` counts: windows, epochs, per cent, samples or seconds."""
        if like.kind == "%":
            return 100.0 * self.progress
        return {"st": self.done, "ep": self.epoch, "samples": self.samples, "s": self.seconds}[like.kind]

    def reached(self, length: Duration) -> bool:
        """Whether at least `length` has gone by since the start of the run."""
        count = self._windows(length)
        return self.elapsed(length) >= length.size if count is None else self.done >= count

    def due(self, every: Duration) -> bool:
        """Whether an action that comes once in `every` falls due with the latest window.

        It is a function of the clock alone, so that a resumed run acts when the uninterrupted one would have. Lengths
        in updates, epochs and per cent are rounded to windows, at least 1; for samples and times it is the window that
        crosses a multiple. The end of an epoch of unknown length shows with the first window of the next one. What
        falls due less than a quarter of `every` before the end of the run is left out, as big_vision's ``itstime``
        does: whoever wants a last action makes it at the end.

        Args:
            every: the interval.

        Returns:
            Whether to act now.
        """
        count = self._windows(every)
        if count is not None:
            count = max(1, count)
            return self.done % count == 0 and not (self.total is not None and 0 < self.total - self.done < _NEAR * count)
        now = self.elapsed(every)
        if math.floor(now / every.size) == math.floor((now - self._latest(every)) / every.size):
            return False
        return self.until is None or self.until.kind != every.kind or not 0 < self.until.size - now < _NEAR * every.size

    def after(self, report: Report, seconds: float) -> Clock:
        """Return the clock after one more window, `seconds` after the start of the run."""
        return Clock(  # every window pays for this: `replace` takes half as long again
            self.total,
            self.steps_per_epoch,
            self.done + 1,
            self.step + (not report.skipped),
            seconds,
            self.until,
            self.samples + report.count,
            self.epochs,
            self.within + 1,
            report.count,
            seconds - self.seconds,
        )

    def at(self, epoch: int) -> Clock:
        """Return the clock in epoch number `epoch`: at its start, unless it is there already."""
        return self if epoch == self.epochs else replace(self, epochs=epoch, within=0)

    def state_dict(self) -> dict[str, Any]:
        """Return what has gone by, as numbers by name; the run's length belongs to the trainer that goes on."""
        return {name: value for name, value in asdict(self).items() if name not in _LENGTHS}

    def moved(self, state: Mapping[str, Any]) -> Clock:
        """Return a clock of this run's length at the place of a `state_dict`."""
        return replace(self, **{name: state[name] for name in self.state_dict()})

    def _windows(self, length: Duration) -> int | None:
        """A length in windows, where it has one."""
        unit = length.unit
        known = unit == "st" or (unit == "ep" and self.steps_per_epoch is not None) or (unit == "%" and self.total is not None)
        return length.steps(self.total, self.steps_per_epoch) if known else None

    def _latest(self, like: Duration) -> float:
        """What the latest window added to `elapsed`, where it is not one window."""
        if like.kind == "%":
            return 0.0 if self.until is None else 100.0 * self._latest(self.until) / self.until.size
        return {"ep": float(self.epochs > 0 and self.within == 1), "samples": self.last_samples}.get(
            like.kind, self.last_seconds
        )


_LENGTHS = ("total", "steps_per_epoch", "until")
