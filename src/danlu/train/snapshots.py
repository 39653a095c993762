"""Snapshots: the weights at the end of each cycle of the learning rate, for an ensemble at the price of one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, final

from danlu.ranges import Count, check, hints
from danlu.schedule import Duration
from danlu.train.callback import Callback
from danlu.train.clock import Clock
from danlu.train.durable import replaced
from danlu.train.report import Report
from danlu.train.tensor_files import write_model

if TYPE_CHECKING:
    from danlu.train.trainer import Trainer

__all__ = ["SNAPSHOTS", "Snapshots"]

SNAPSHOTS = "snapshots"  # the folder's name in a run's


@final
class Snapshots(Callback):
    """Writes FOLDER/i.safetensors when update ⌈W + (T − W)·i/n⌉ has been made, i = 1 … n: where a `Cyclic` schedule is lowest.

    T is the run's updates, W its warm-up. The weights are those that are judged, averaged ones if there is an average. When
    they are written is a function of the clock, so there is no state, and a resumed run writes the same bits again. Source:
    Huang et al. 2017, "Snapshot ensembles: train 1, get M for free" (arXiv:1704.00109).

    Args:
        folder: of the files; made with the first one.
        cycles: n.
        warmup: W.

    Raises:
        ValueError: for no cycle; at the start of a run whose length in updates is not known.
    """

    def __init__(self, folder: Path, cycles: Count, warmup: int | str | Duration = 0) -> None:
        check("Snapshots", hints(Snapshots.__init__), {"cycles": cycles})
        self.folder, self.cycles, self.warmup = folder, cycles, Duration.parse(warmup)

    def attach(self, trainer: Trainer) -> None:
        """Keep the model, and where it is judged."""
        self._trainer = trainer

    def start(self, clock: Clock) -> None:
        """Find the ends of the cycles."""
        if clock.total is None:
            raise ValueError("Snapshots: the run's length in updates must be known; give until in updates or epochs")
        warm = min(self.warmup.steps(clock.total, clock.steps_per_epoch), clock.total)
        length = clock.total - warm
        self._ends = {warm - (-length * i // self.cycles): i for i in range(1, self.cycles + 1)}

    def after_update(self, clock: Clock, report: Report) -> None:
        """Write, at the end of a cycle."""
        number = self._ends.get(clock.step)
        if number is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._trainer.eval_weights():
                replaced(self.folder / f"{number}.safetensors", lambda path: write_model(self._trainer.model, path))
