"""When a run saves, and how it comes back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from torch.optim.lr_scheduler import LRScheduler

from danlu.schedule import Duration
from danlu.train.averaged import has_average
from danlu.train.callback import taking
from danlu.train.checkpoint.manifest import DamagedError
from danlu.train.checkpoint.mismatch import MismatchError
from danlu.train.checkpoint.options import base_options, differences
from danlu.train.checkpoint.snapshot import Snapshot, write
from danlu.train.checkpoint.store import Checkpoints, Keep
from danlu.train.clock import Clock
from danlu.train.durable import sync
from danlu.train.events import Observer
from danlu.train.joint import refuse_other
from danlu.train.report import Report
from danlu.train.run_directory import RunDirectory

if TYPE_CHECKING:
    from danlu.train.trainer import Trainer

__all__ = ["Saver"]


@final
class Saver(Observer):
    """Saves a trainer's run in its folder where due, after a best evaluation if wanted, and when the run ends well.

    Args:
        trainer: whose run it is. Of several ranks the first one writes, and all read.
        folder: of the run.
        every: from one checkpoint to the next.
        keep: which ones stay.
    """

    def __init__(self, trainer: Trainer, folder: Path, every: Duration, keep: Keep) -> None:
        self.trainer, self.metrics, self.every = trainer, folder / RunDirectory.METRICS, every
        self.checkpoints = Checkpoints(folder / RunDirectory.CHECKPOINTS, keep)
        self._rows, self._skipped = 0, False
        self._found_windows: int | None = None  # of an epoch, in the run that goes on

    def resume(self, source: Path | None = None) -> None:
        """Load the newest whole checkpoint, before the loop is made; without any, the run starts from the beginning.

        What the run wrote after that checkpoint into metrics.jsonl is taken away, and checkpoints that are damaged get
        another name.

        Args:
            source: another run's folder, or one checkpoint, to go on from in this folder, which holds no run yet.

        Raises:
            DamagedError: when there are checkpoints and none is whole.
            MismatchError: when the checkpoint is of another model, optimizer or run; nothing has changed then.
            RankError: when that, or something else, happened to another rank.
        """
        ranks = self.trainer.ranks
        found = ranks.first(lambda: self._found(source))
        place = ranks.gather(None if found is None else found.path)[0]  # they must not choose each for itself
        if place is None:
            ranks.first(lambda: self._cut(0))
            return
        found = ranks.together(lambda: Snapshot.read(place) if found is None else found)
        ours = base_options(self.trainer.optimizer)
        ranks.together(lambda: self._take(found))
        if ranks.rank == 0:
            self._tell_differences(found, ours)
        if source is None:
            ranks.first(lambda: self._forget_later(found))

    def _take(self, found: Snapshot) -> None:
        try:
            refuse_other(self.trainer, found.run["trainer"])
            found.restore(self.trainer.model, self.trainer.optimizer)  # compares before it changes anything, too
            self.trainer.load_state_dict(found.run["trainer"])
        except (MismatchError, ValueError) as error:
            what = str(error).removeprefix("Trainer: ")
            raise MismatchError(f"{found.path} is a checkpoint of something else: {what}") from error

    def _forget_later(self, found: Snapshot) -> None:
        """Leave nothing in the folder that comes after the checkpoint."""
        self.checkpoints.set_aside(found.path)
        self._cut(int(found.run["metrics"]))

    def start(self, clock: Clock) -> None:
        """See how many evaluations there were, and whether an epoch is as long as it was."""
        self._rows = len(self.trainer.running().history)
        before, now, self._found_windows = self._found_windows, clock.steps_per_epoch, None
        if before is not None and now is not None and before != now:
            what = f"the run had {before} windows in an epoch, now there are {now}; it goes on behind window {clock.within}"
            _warn(f"{what} of epoch {clock.epochs}, and lengths in epochs are {now} windows each, also those gone by")

    def update(self, clock: Clock, report: Report) -> None:
        """Note whether the window was skipped."""
        self._skipped = report.skipped

    def settled(self, clock: Clock) -> None:
        """Save, if it is time to: after everything that belongs to a window, where nothing is half done.

        A run that is stopped by a window that it had to skip is not saved there: resumed when the cause is gone, it
        takes that window again.
        """
        loop, keep = self.trainer.running(), self.checkpoints.keep
        if loop.stopped and self._skipped:
            return
        best = keep.best and len(loop.history) > self._rows and loop.best() is loop.history[-1]
        lasting = keep.every is not None and clock.due(Duration.parse(keep.every))
        self._rows = len(loop.history)
        if best or lasting or loop.ending or clock.due(self.every):
            self._save(clock, best=best, lasting=lasting)

    def _save(self, clock: Clock, *, best: bool, lasting: bool) -> None:
        sync(self.metrics)  # what the checkpoint counts as written must be there after a loss of power too
        run = {"trainer": self.trainer.state_dict(), "metrics": self.metrics.stat().st_size}
        averaging = has_average(self.trainer.optimizer) or taking(self.trainer.callbacks, "eval_weights")
        fill = partial(
            write,
            model=self.trainer.model,
            optimizer=self.trainer.optimizer,
            run=run,
            about={
                "step": clock.step,
                "epoch": clock.epoch,
                "lasting": lasting,
                "ranks": self.trainer.ranks.size,
                "windows": clock.steps_per_epoch,
            },
            average=self.trainer.eval_weights() if averaging else None,
        )
        self.checkpoints.save(clock.done, fill, best=best)

    def _found(self, source: Path | None) -> Snapshot | None:
        self.checkpoints.clean()
        if source is None:
            return self.checkpoints.newest(_warn)
        if not (source / RunDirectory.CHECKPOINTS).is_dir():
            return Snapshot.read(source)
        found = Checkpoints(source / RunDirectory.CHECKPOINTS).newest(_warn)
        if found is None:
            raise DamagedError(f"{source} holds no checkpoint to resume")
        return found

    def _cut(self, size: int) -> None:
        """Take away what was written into metrics.jsonl after the checkpoint."""
        if self.metrics.exists() and self.metrics.stat().st_size > size:
            with self.metrics.open("rb+") as file:
                file.truncate(size)

    def _tell_differences(self, found: Snapshot, ours: Sequence[Mapping[str, Any]]) -> None:
        self._found_windows = found.manifest.get("windows")
        kept = {} if isinstance(self.trainer.schedule, LRScheduler) else differences(base_options(self.trainer.optimizer), ours)
        if kept:  # torch's schedulers move what they like, and have a state of their own
            values = ", ".join(f"{key}={theirs!r} and not {own!r}" for key, (theirs, own) in kept.items())
            _warn(f"{found.path.name} goes on with its own {values}, which this optimizer was made with")
        before, now = int(found.manifest.get("ranks", 1)), self.trainer.ranks.size
        if before != now:
            _warn(f"{found.path.name} was made by {before} rank(s), now there are {now}; from here on it agrees to rounding")
        theirs = found.manifest["versions"].get("torch")
        if theirs != torch.__version__:
            _warn(f"{found.path.name} was made with torch {theirs}, this is {torch.__version__}; bits may differ from here on")


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=6)
