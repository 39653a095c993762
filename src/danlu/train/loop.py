"""The loop: windows, schedules, evaluations, callbacks, records, and an end that is always clean."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, final

from danlu.keyed import generator, seed_all
from danlu.train.callback import taking
from danlu.train.clock import Clock
from danlu.train.evaluate import evaluate
from danlu.train.events import Observer, Result, Row
from danlu.train.feed import feed, length, place_of
from danlu.train.interrupt import Interrupt
from danlu.train.log import JsonLines, PlainLog
from danlu.train.ranks import Ranks
from danlu.train.rates import rates
from danlu.train.report import Report
from danlu.train.run_directory import RunRecord
from danlu.train.step import Step
from danlu.train.tally import Tally
from danlu.train.window import epoch_of

if TYPE_CHECKING:
    from danlu.train.trainer import Trainer

__all__ = ["Loop"]


@final
class Loop:
    """One run of a trainer. What it has come to: its clock, the sums since the last evaluation, and the rows so far.

    Args:
        trainer: what the run is made of.
        train: its data.
        valid: what is evaluated, or None.
    """

    def __init__(self, trainer: Trainer, train: Any, valid: Any) -> None:
        self.trainer, self.train, self.valid, self.ranks = trainer, train, valid, trainer.ranks
        self.clock = self.ranks.together(lambda: _clock(trainer, train, valid))
        self.tally, self.history = Tally(), list[Row]()
        _of_one_length(self.ranks, self.clock)
        self.rates = rates(trainer.schedule, trainer.optimizer, self.clock)
        self.place: Mapping[str, Any] | None = None  # of data that keep one themselves
        if (state := trainer.loaded()) is not None:
            self.clock = self.clock.moved(state["clock"])
            self.tally.load_state_dict(state["tally"])
            self.history = [dict(row) for row in state["history"]]
            self.place = state.get("data")
        self.entered = self.clock.epochs if self.clock.within else None  # in another process, with data of perhaps other length
        self.told = False  # that an epoch had another length
        self.key = (trainer.seed, *(("rank", self.ranks.rank) if self.ranks.rank else ()))  # of all but the data
        self.watching = [*_watching(trainer)]
        self.batching, self.acting, self.stopping = (
            taking(trainer.callbacks, point) for point in ("batch", "after_update", "stops")
        )
        self.stopped, self.error, self.left = "", "", False
        self.halted = self.ending = False
        self.held: Exception | None = None
        trainer.loop, trainer.result = self, None

    def run(self) -> Generator[Step, None, None]:
        """Yield a step per window, to be updated by whoever owns the loop's body; see `Trainer.steps`.

        Yields:
            Steps.
        """
        with ExitStack() as held:
            if self.trainer.directory is not None:
                held.callback(self.trainer.directory.release)
            yield from self._run()

    def _run(self) -> Generator[Step, None, None]:
        self.started, self.zero = (now() - self.clock.seconds for now in (time.perf_counter, self.ranks.time))
        if not self.trainer.model.training:  # not train() in any case: a part may be kept in eval mode on purpose
            self.trainer.model.train()
        step = None
        with Interrupt() as interrupt:
            try:
                self.ranks.together(self._start)
                self.stopped = self._asked()  # a run that was saved after it was stopped goes no further
                at = self.clock.epochs, self.clock.within
                windows = feed(self.train, self.trainer.accumulate, self.trainer.seed, *at, self.place)
                self.ending = self.clock.finished or bool(self.stopped)
                while not self.ending:
                    coming = self._next(windows, interrupt)
                    if coming is None:
                        break
                    step, self.left = coming, True
                    yield step
                    self.left = False
                    self._finish(step.made(), interrupt)
                if step is not None and not (self.ending or self._is_evaluated()):
                    self.ending = True
                    self._evaluate(step.made())
                    self._settle()
                self.ranks.together(self._raise_held)
            except BaseException as problem:
                if step is None or not self.left:
                    self.error = f"{type(problem).__name__}: {problem}"
                elif step.error:
                    self.error = step.error
                else:  # in the body, of which we hear only that it was left
                    if step.report is not None:
                        self._finish(step.report, interrupt)
                    self.ranks.fail()  # who has not left as well would wait for an update
                raise
            finally:
                early = (self.halted or self.left) and not self.clock.finished
                agreed = self.halted and not (self.left or self.error)
                signals = self.ranks.gather(interrupt.signal) if agreed else [interrupt.signal]
                self._end(interrupted=early, signal=next(filter(None, signals), "") if early else "")

    def state_dict(self) -> dict[str, Any]:
        """Return the loop's part of `Trainer.state_dict`."""
        history = [dict(row) for row in self.history]
        place = place_of(self.train) if self.ranks.size == 1 else None  # each rank has its own, of which one could be saved
        return {"clock": self.clock.state_dict(), "tally": self.tally.state_dict(), "history": history, "data": place}

    def _start(self) -> None:
        coming, self.watching = self.watching, []
        for each in coming:
            each.start(self.clock)
            self.watching.append(each)  # who has not started is not told of the end

    def _next(self, windows: Iterator[tuple[int, list[Any]]], interrupt: Interrupt) -> Step | None:
        """The next step; None when the end of the last epoch, of unknown length, has shown. Who fails here tells the others."""
        try:
            self._raise_held()
            epoch, window = next(windows)
            self._compare(epoch)
            self.clock = _entered(self.clock, epoch)
            return None if self.clock.finished else self._prepared(window, interrupt)
        except Exception:
            self.ranks.fail()
            raise

    def _compare(self, epoch: int) -> None:
        """Say, once, that an epoch which is over was not as long as the data's length."""
        over, found, said = self.clock.epochs, self.clock.within, self.clock.steps_per_epoch
        if self.told or epoch == over or over == self.entered or said is None or found == said:
            return
        self.told = True
        what = f"train has {said} windows an epoch by its length, but epoch {over} had {found}"
        warnings.warn(f"{what}; lengths in epochs and the schedule go by its length", stacklevel=2)

    def _raise_held(self) -> None:
        if self.held is not None:
            raise self.held

    def _tell(self, what: Callable[..., Any], *told: Any) -> Any:
        """Call somebody; with several ranks an error waits for the next update, where all others can hear of it."""
        if self.ranks.size == 1:
            return what(*told)
        try:
            return what(*told)
        except Exception as problem:
            self.held = self.held or problem

    def _prepared(self, window: list[Any], interrupt: Interrupt) -> Step:
        """Set what the update depends on: its random numbers, its rates, its batches."""
        clock = self.clock
        for each in self.batching:
            draw = generator(*self.key, "batch", each.name, clock.step)
            window = [each.batch(batch, draw, clock) for batch in window]
        seed_all(*self.key, "step", clock.step)
        self.rates.before(clock)
        return Step(window, clock, lambda window: self.trainer.update(window, stop=interrupt.requested))

    def _finish(self, report: Report, interrupt: Interrupt) -> None:
        """Everything that comes after an update."""
        self.clock = self.clock.after(report, self.ranks.time() - self.zero)
        self.rates.after(report)
        if not report.skipped:
            self.tally.add(report.total, report.count, report.measures, report.parts)
            for each in self.acting:
                self._tell(each.after_update, self.clock, report)
        for each in self.watching:
            self._tell(each.update, self.clock, report)
        if self.clock.due(self.trainer.evaluate_every) or self.clock.finished:
            self._evaluate(report)
        given_up = report.skipped and report.stop and self.trainer.update.nonfinite == "stop"
        self.stopped = report.reason if given_up else self._asked()
        # several ranks end together: a report with `stop` is the same on all of them
        self.halted = (report.stop and not given_up) or (interrupt.requested and self.ranks.size == 1)
        self.ending = self.clock.finished or bool(self.stopped) or self.halted or self.left
        if self.stopped and not self._is_evaluated():
            self._evaluate(report)
        self._settle()

    def _evaluate(self, report: Report) -> None:
        """Add a row: the numbers now; the training means are over the items since the last row, each as it was trained on."""
        clock, own = self.clock, self.trainer
        row: Row = {"step": clock.step, "epoch": clock.epoch, "seconds": clock.seconds, "lr": report.lr[0]}
        row["skipped"] = clock.skipped
        row.update(self.tally.means("train"))
        if self.valid is not None:
            with own.eval_weights():
                row.update(self._judged("valid"))
            if own.evaluate_raw:
                row.update(self._judged("raw"))
        self.history.append(row)
        self.tally = Tally()
        self.rates.evaluated(row)
        for each in self.watching:
            self._tell(each.evaluated, clock, row)

    def _judged(self, prefix: str) -> Row:
        own, data = self.trainer, epoch_of(self.valid, 0)
        seed_all(*self.key, "evaluate", self.clock.done)  # whatever has been drawn since the update
        return evaluate(own.model, own.loss, data, prefix, own.precision, metrics=own.metrics, predict=own.predict)

    def _settle(self) -> None:
        for each in self.watching:
            self._tell(each.settled, self.clock)

    def best(self) -> Row:
        """Return the first row with the lowest loss; a nan is never the best; empty when there is none."""
        return _best(self.history, "train/loss" if self.valid is None else "valid/loss")

    def _is_evaluated(self) -> bool:
        return bool(self.history) and self.history[-1]["step"] + self.history[-1]["skipped"] == self.clock.done

    def _asked(self) -> str:
        why = next((why for each in self.stopping if (why := self._tell(each.stops, self.clock))), "")
        if self.stopping and self.ranks.any(bool(why)) and self.ranks.size > 1:
            why = next(filter(None, self.ranks.gather(why)))
        return why

    def _end(self, *, interrupted: bool, signal: str) -> None:
        result = self.trainer.result = Result(
            history=self.history,
            final=self.history[-1] if self.history else {},
            best=self.best(),
            steps=self.clock.step,
            skipped=self.clock.skipped,
            seconds=time.perf_counter() - self.started,
            interrupted=interrupted,
            path=self.trainer.folder,
            error=self.error,
            stopped=self.stopped,
            signal=signal,
        )
        problems: list[Exception] = []
        for each in self.watching:
            try:
                each.end(self.clock, result)
            except Exception as problem:  # on a full disk nobody can write, and the others must still end
                problems.append(problem)
        if self.error:
            return
        if self.left:  # perhaps on this rank alone
            _raise_first(problems)
        self.ranks.together(lambda: _raise_first(problems))  # and the files are there


def _clock(trainer: Trainer, train: Any, valid: Any) -> Clock:
    batches = length(train)
    if batches is None and trainer.until.kind == "ep" and isinstance(train, Iterator):
        fix = "give a list or a loader, or until in updates"
        raise TypeError(f"Trainer: train has no length and can be read only once, not in every epoch; {fix}")
    if batches == 0:
        raise ValueError("Trainer: train has no batch")
    if valid is not None and length(valid) == 0 and trainer.ranks.size == 1:  # of several ranks, one may have nothing
        raise ValueError("Trainer: valid has no batch; give None for no validation data")
    each = None if batches is None else math.ceil(batches / trainer.accumulate)
    until = trainer.until
    if until.kind in {"st", "%"} or (until.kind == "ep" and each is not None):
        return Clock(max(1, until.steps(None, each)), each)
    return Clock(None, each, until=until)


def _raise_first(problems: Sequence[Exception]) -> None:
    for problem in problems:
        raise problem


def _of_one_length(ranks: Ranks, clock: Clock) -> None:
    """Refuse ranks that would wait for each other in vain.

    Raises:
        ValueError: when they have different numbers of windows.
    """
    found = ranks.gather((clock.total, clock.steps_per_epoch))
    for rank, (total, each) in enumerate(found):
        if (total, each) != found[0]:
            numbers = f"rank 0 has {found[0][1]} windows an epoch, rank {rank} has {each}"
            fix = "give all equally many, as Loader(..., rank=, world=) does"
            raise ValueError(f"Trainer: {numbers}; {fix}")


def _entered(clock: Clock, epoch: int) -> Clock:
    """The clock in this epoch, unless the run would never end."""
    if epoch != clock.epochs and clock.done and clock.until is not None and clock.until.kind == "samples" and not clock.samples:
        raise ValueError(f"Trainer: until='{clock.until}', but an epoch has counted no item; is every target masked?")
    return clock.at(epoch)


def _watching(trainer: Trainer) -> Sequence[Observer]:
    """Who takes part first, then the files: when somebody is told that the run has ended, they are there."""
    files: list[Observer] = []
    if (directory := trainer.directory) is not None:
        record = RunRecord(directory, trainer.model, trainer.optimizer, trainer.eval_weights)
        files = [JsonLines(directory.metrics, trainer.log_every), record]
        if trainer.saver is not None:
            files.append(trainer.saver)
    if trainer.ranks.rank:
        return trainer.callbacks
    observers = [PlainLog(trainer.log_every)] if trainer.observers is None else trainer.observers
    return [*trainer.callbacks, *files, *observers]


def _best(history: Sequence[Row], metric: str) -> Row:
    """The first row with the lowest value; never one with a nan, or without it, from before there were validation data."""
    return min((row for row in history if not math.isnan(row.get(metric, math.nan))), key=lambda row: row[metric], default={})
