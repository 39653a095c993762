"""Who sets the learning rate during a run: schedules, which are functions of the clock, or a scheduler of torch's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol, TypeAlias, final

import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from danlu.schedule import Duration, Schedule, Scheduled
from danlu.train.clock import Clock
from danlu.train.events import Row
from danlu.train.report import Report

__all__ = ["Rates", "ScheduleLike", "rates"]

ScheduleLike: TypeAlias = Schedule | Mapping[str, Schedule] | LRScheduler

_SHARES = 1_000_000  # steps of the share of a run that has no number of updates


class Rates(Protocol):
    """Sets hyper-parameters at three moments of a run."""

    def before(self, clock: Clock) -> None:
        """Before an update."""
        ...

    def after(self, report: Report) -> None:
        """After a window."""
        ...

    def evaluated(self, row: Row) -> None:
        """After an evaluation."""
        ...


def rates(schedule: ScheduleLike | None, optimizer: torch.optim.Optimizer, clock: Clock) -> Rates:
    """Return what sets the rates of a run of the clock's length.

    Raises:
        ValueError: when a schedule lacks a number that it needs, or torch's scheduler belongs to another optimizer.
    """
    if isinstance(schedule, LRScheduler):
        if schedule.optimizer is not optimizer:
            raise ValueError("Trainer: the schedule belongs to another optimizer; make it of the trainer's")
        return _Torch(schedule)
    return _Own(optimizer, schedule or {}, clock)


@final
class _Own:
    """Schedules by the update's number; by the share of the run that is over where a run has no number of updates."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule | Mapping[str, Schedule], clock: Clock) -> None:
        self.counted = clock.total is not None
        if not self.counted:
            for each in [schedule] if isinstance(schedule, Schedule) else schedule.values():
                warmup = Duration.parse(each.warmup)
                if warmup.size and warmup.kind != "%":
                    what = f"until='{clock.until}' has no number of updates, so a schedule goes by the share of it that is over"
                    raise ValueError(f"Trainer: {what}; give its warmup in per cent, such as '5%', not '{warmup}'")
        self.scheduled = Scheduled(optimizer, schedule, clock.total or _SHARES, clock.steps_per_epoch if self.counted else None)

    def before(self, clock: Clock) -> None:
        """Set the values of the update that comes."""
        self.scheduled.set(clock.step if self.counted else math.floor(clock.progress * _SHARES))

    def after(self, report: Report) -> None:
        """Nothing: there is no state to move."""

    def evaluated(self, row: Row) -> None:
        """Nothing: the clock says it all."""


@final
class _Torch:
    """A torch scheduler: stepped once per update that was applied, `ReduceLROnPlateau` once per evaluation."""

    def __init__(self, scheduler: LRScheduler) -> None:
        self.scheduler = scheduler

    def before(self, clock: Clock) -> None:
        """Nothing: the value was set after the last update."""

    def after(self, report: Report) -> None:
        """Step, unless the update was skipped."""
        if not report.skipped and not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()

    def evaluated(self, row: Row) -> None:
        """Step by the validation loss, or by that of training where there is none."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(row.get("valid/loss", row["train/loss"]))
