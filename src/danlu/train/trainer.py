"""The loop: epochs, schedules, evaluations, records, and an end that is always clean."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from os import PathLike
from typing import Any, Literal, final

import torch
from torch import nn

from danlu.keyed import seed_all
from danlu.loss import LossSum, as_loss_sum
from danlu.ranges import Positive, check, hints
from danlu.schedule import Duration, Schedule, Scheduled
from danlu.train.averaged import at_average
from danlu.train.evaluate import evaluate
from danlu.train.events import Clock, Observer, Result, Row
from danlu.train.interrupt import Interrupt
from danlu.train.log import JsonLines, PlainLog
from danlu.train.report import Report
from danlu.train.run_directory import RunDirectory, RunRecord
from danlu.train.tally import Tally
from danlu.train.update import Update
from danlu.train.window import Accumulate, epoch_of, epochs

__all__ = ["Trainer"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@final
class Trainer:
    """Trains a model with exact updates (see `Update`) for a given length.

    A length is a number of windows, ``200`` or ``"200st"``, or of epochs, ``"10ep"``; a window is `accumulate` batches
    and makes one update. A skipped update uses up its window but does not advance the schedules. Before update k
    torch's random generators are seeded with (seed, "step", k) and before epoch e with (seed, "epoch", e), so that
    dropout and a DataLoader's shuffling are functions of the seed. Ctrl-C once ends the run after the update under
    way, with weights and status written; twice, at once.

    Args:
        model: on its device, which the batches follow.
        loss: ``loss(model, batch)`` returns a `LossSum` or (sum, count). A bare mean is refused, since the means of
            an epoch and of the validation data could not be exact.
        optimizer: any `torch.optim.Optimizer`; evaluation, and the weights in `out`, are at its average if it keeps one.
        until: the length of the run.
        schedule: of the learning rate, or one per hyper-parameter by name; see `Scheduled`. None keeps them.
        accumulate: batches per update.
        clip: the largest global norm of the gradient, or None.
        nonfinite: "raise" or "skip".
        evaluate_every: from one evaluation to the next, such as ``200``, ``"1ep"`` or ``"10%"``; one more at the end.
        seed: for all that is random.
        out: the run's folder, or None; see `RunDirectory`.
        observers: who watches; None is a `PlainLog`. With `out`, the files are written in any case.
        log_every: from one logged update to the next, in `PlainLog` and metrics.jsonl; None for evaluations only.

    Raises:
        ValueError: on a value out of its range, a length that is none or not understood.
        FileExistsError: when `out` holds another run.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[nn.Module, Any], Any],
        optimizer: torch.optim.Optimizer,
        *,
        until: int | str | Duration = "20ep",
        schedule: Schedule | Mapping[str, Schedule] | None = None,
        accumulate: Accumulate = 1,
        clip: Positive | None = None,
        nonfinite: Literal["raise", "skip"] = "raise",
        evaluate_every: int | str | Duration = "1ep",
        seed: int = 0,
        out: str | PathLike[str] | None = None,
        observers: Sequence[Observer] | None = None,
        log_every: int | str | Duration | None = None,
    ) -> None:
        check("Trainer", hints(Trainer.__init__), {"accumulate": accumulate, "seed": seed})
        self.model, self.loss, self.optimizer, self.schedule = model, _counted(loss), optimizer, schedule
        self.update = Update(model, self.loss, optimizer, clip=clip, nonfinite=nonfinite)
        self.until = _length("until", until)
        self.evaluate_every = _length("evaluate_every", evaluate_every)
        self.log_every = None if log_every is None else _length("log_every", log_every)
        self.accumulate, self.seed, self.observers = accumulate, seed, observers
        self.directory = None if out is None else RunDirectory(out)
        if accumulate > 1 and any(isinstance(module, _BATCH_NORMS) for module in model.modules()):
            what = f"accumulate={accumulate} with BatchNorm: its statistics are those of each batch, not of the window"
            warnings.warn(f"{what}; all else is exact", stacklevel=2)

    def fit(self, train: Any, valid: Any = None) -> Result:
        """Train, evaluating on the way.

        Args:
            train: batches, with a length: a list, a `torch.utils.data.DataLoader`, or anything with ``epoch(e)``
                that gives epoch e's, such as `TensorLoader`.
            valid: the same, for evaluation; its epoch is always 0. None: the rows have the training numbers only.

        Returns:
            What the run came to. What ends a run early is raised: `NonFiniteError` (weights and optimizer state are
            those before that update), TypeError for a `train` without length or a bare mean, ValueError for no batch.
        """
        clock = self._clock(train)
        every = _windows_of(self.evaluate_every, clock)
        scheduled = Scheduled(self.optimizer, self.schedule or {}, clock.total, clock.steps_per_epoch)
        watching = self._watching(clock)
        history: list[Row] = []
        started, tally, error = time.perf_counter(), Tally(), ""
        if not self.model.training:  # not train() in any case: a part may be kept in eval mode on purpose
            self.model.train()
        for each in watching:
            each.start(clock)
        with Interrupt() as interrupt:
            try:
                for window in islice(epochs(train, self.accumulate, self.seed), clock.total):
                    seed_all(self.seed, "step", clock.step)
                    scheduled.set(clock.step)
                    report = self.update(window)
                    clock = clock.after(report, time.perf_counter() - started)
                    if not report.skipped:
                        tally.add(report.loss * report.count, report.count, report.measures)
                    for each in watching:
                        each.update(clock, report)
                    if clock.done % every == 0 or clock.done == clock.total:
                        row = self._row(clock, report, tally, valid)
                        history.append(row)
                        tally = Tally()
                        for each in watching:
                            each.evaluated(clock, row)
                    if interrupt.requested:
                        break
            except BaseException as problem:
                error = f"{type(problem).__name__}: {problem}"
                raise
            finally:
                result = Result(
                    history=history,
                    final=history[-1] if history else {},
                    best=_best(history, "train/loss" if valid is None else "valid/loss"),
                    steps=clock.step,
                    skipped=clock.skipped,
                    seconds=time.perf_counter() - started,
                    interrupted=interrupt.requested and clock.done < clock.total,
                    path=None if self.directory is None else self.directory.path,
                    error=error,
                )
                for each in watching:
                    each.end(clock, result)
        return result

    def _clock(self, train: Any) -> Clock:
        try:
            batches = len(train)
        except TypeError:
            raise TypeError("Trainer: train has no length, which an epoch needs; give a list or a loader") from None
        if batches == 0:
            raise ValueError("Trainer: train has no batch")
        steps_per_epoch = math.ceil(batches / self.accumulate)
        return Clock(total=max(1, self.until.steps(None, steps_per_epoch)), steps_per_epoch=steps_per_epoch)

    def _watching(self, clock: Clock) -> list[Observer]:
        """Files first: when somebody is told that the run has ended, they are there."""
        every = None if self.log_every is None else _windows_of(self.log_every, clock)
        files: list[Observer] = []
        if self.directory is not None:
            directory = RunDirectory(self.directory.path)  # again: a second fit would be a second run in one folder
            files = [JsonLines(directory.metrics, every), RunRecord(directory, self.model, self.optimizer)]
        return [*files, *([PlainLog(every)] if self.observers is None else self.observers)]

    def _row(self, clock: Clock, report: Report, tally: Tally, valid: Any) -> Row:
        """The numbers now; the training means are over the items since the last row, each as it was trained on."""
        where: Row = {"step": clock.step, "epoch": clock.epoch, "seconds": clock.seconds, "lr": report.lr[0]}
        where["skipped"] = clock.skipped
        with at_average(self.optimizer):
            found = {} if valid is None else evaluate(self.model, self.loss, epoch_of(valid, 0))
        return {**where, **tally.means("train"), **found}


def _counted(loss: Callable[[nn.Module, Any], Any]) -> Callable[[nn.Module, Any], LossSum]:
    return lambda model, batch: as_loss_sum(loss(model, batch))


def _length(name: str, value: int | str | Duration) -> Duration:
    length = Duration.parse(value)
    if not length.amount:
        raise ValueError(f"Trainer: {name} must be longer than 0, got {value!r}")
    return length


def _windows_of(length: Duration, clock: Clock) -> int:
    return max(1, length.steps(clock.total, clock.steps_per_epoch))


def _best(history: Sequence[Row], metric: str) -> Row:
    """The first row with the lowest value; a nan is never the best."""
    return min((row for row in history if not math.isnan(row[metric])), key=lambda row: row[metric], default={})
