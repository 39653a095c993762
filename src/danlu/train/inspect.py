"""Looking into a run: weights and gradients of every layer, from time to time."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch
from torch import Tensor

from danlu.inspection import Layer, Reading, Verdict, read, update_ratio, verdicts, write
from danlu.schedule import Duration
from danlu.train.callback import Callback
from danlu.train.clock import Clock
from danlu.train.report import Report
from danlu.train.trackers import TensorBoard
from danlu.train.unwrapped import unwrapped

if TYPE_CHECKING:
    from danlu.train.trainer import Trainer

__all__ = ["Inspect"]

_KEPT = 64  # readings that verdicts compare with


@final
class Inspect(Callback):
    """Looks at every layer, once in `every`: gauges and histograms of weight and gradient, and how far the update moves it.

    The gradients are those of the mean loss, unscaled and before clipping. Nothing is changed, and nothing is paid between
    looks; a look costs about as much as the update itself, and a copy of the weights while it lasts.

    Args:
        every: from one look to the next; the first update is looked at, too.
        path: a file of one JSON object per look, such as inspection.jsonl in the run's folder (see `danlu inspect`), or None.
        tensorboard: one of the run's observers, which then gets histograms and gauges, too; or None.

    Attributes:
        readings: the last 64 looks.

    Raises:
        ValueError: for an `every` that is not understood.
    """

    phase: ClassVar[int] = -100  # before whatever changes gradients

    def __init__(
        self,
        every: int | str | Duration = "2%",
        path: str | PathLike[str] | None = None,
        tensorboard: TensorBoard | None = None,
    ) -> None:
        self.every, self.path = Duration.parse(every), None if path is None else Path(path)
        self.tensorboard = tensorboard
        self.readings: deque[Reading] = deque(maxlen=_KEPT)
        self._names: dict[Tensor, str] = {}
        self._seen: dict[str, tuple[Tensor, Tensor, Layer]] = {}

    def attach(self, trainer: Trainer) -> None:
        """Learn the names; of several processes the first one writes."""
        self._names = {p: name for name, p in unwrapped(trainer.model).named_parameters()}
        if trainer.ranks.rank:
            self.path = self.tensorboard = None

    def start(self, clock: Clock) -> None:
        """Forget an earlier run; of a resumed one, drop what the file has of later updates."""
        self._seen = {}
        if not clock.done:
            self.readings.clear()
        if self.path is None:
            return
        lines = self.path.read_text(encoding="utf-8").splitlines() if clock.done and self.path.exists() else []
        whole = [line for line in lines if line.endswith("}")]  # a crash may have cut the last one
        kept = [line for line in whole if json.loads(line)["step"] < clock.step]
        self.path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def grads(self, parameters: Sequence[Tensor], clock: Clock) -> bool:
        """Look, when it is due; of several evaluations in one update, at the first."""
        if self._seen or not clock.due(self.every):
            return False
        with torch.no_grad():
            trained = set(parameters)
            for p, name in self._names.items():
                if p in trained and p.grad is not None:
                    self._seen[name] = (p, p.detach().clone(), read(p, p.grad))
        return False

    def after_update(self, clock: Clock, report: Report) -> None:
        """Measure how far the update went, and write the look down."""
        if not self._seen:
            return
        layers = {name: replace(x, ratio=update_ratio(before, p.detach())) for name, (p, before, x) in self._seen.items()}
        self._seen = {}
        reading = Reading(clock.step - 1, layers, report.clipped)
        self.readings.append(reading)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(reading.to_json()) + "\n")
        if self.tensorboard is not None:
            write(self.tensorboard.writer, reading)

    def verdicts(self) -> list[Verdict]:
        """Return what the looks so far mean, in words."""
        return verdicts(list(self.readings))

    def state_dict(self) -> dict[str, Any]:
        """Return the looks that verdicts compare with, as plain data."""
        return {"readings": [reading.to_json() for reading in self.readings]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self.readings = deque((Reading.from_json(x) for x in state["readings"]), maxlen=_KEPT)
