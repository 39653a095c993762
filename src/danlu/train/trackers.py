"""Trackers: a run's numbers where people watch them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, final

from danlu.schedule import Duration
from danlu.train.clock import Clock
from danlu.train.events import Observer, Result, Row
from danlu.train.report import Report

__all__ = ["TensorBoard", "Tracker", "WandbModule", "WandbStyle"]


class WandbModule(Protocol):
    """What wandb and trackio have in common."""

    def init(self, **options: Any) -> Any:
        """Begin a run."""
        ...

    def log(self, metrics: dict[str, Any], *, step: int) -> Any:
        """Take the numbers of one update."""
        ...

    def finish(self) -> Any:
        """End the run."""
        ...


class Tracker(Observer, ABC):
    """Sends numbers by name; derive from it and write `open`, `log` and `close`. metrics.jsonl is written in any case.

    Per due update: "update/loss", "update/grad_norm", "update/clipped" and "update/lr" of the first group.
    Per evaluation: its row.

    Args:
        every: from one logged update to the next; None for evaluations only.
    """

    def __init__(self, every: int | str | Duration | None = "1%") -> None:
        self.every = None if every is None else Duration.parse(every)

    def open(self) -> None:
        """Before the first numbers."""

    @abstractmethod
    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take the numbers at one step."""

    @abstractmethod
    def close(self) -> None:
        """After the last numbers, also when the run failed."""

    def start(self, clock: Clock) -> None:
        """Open."""
        self.open()

    def update(self, clock: Clock, report: Report) -> None:
        """Log one update, when it is due and was applied."""
        if self.every is not None and clock.due(self.every) and not report.skipped:
            numbers = {"loss": report.loss, "grad_norm": report.grad_norm, "clipped": report.clipped, "lr": report.lr[0]}
            self.log(clock.step, {f"update/{name}": float(value) for name, value in numbers.items()})

    def evaluated(self, clock: Clock, row: Row) -> None:
        """Log the row."""
        self.log(clock.step, {name: value for name, value in row.items() if name != "step"})

    def end(self, clock: Clock, result: Result) -> None:
        """Close."""
        self.close()


@final
class TensorBoard(Tracker):
    """Writes event files for ``tensorboard --logdir FOLDER``.

    Args:
        folder: of the files, such as tb in the run's folder.
        every: from one logged update to the next; None for evaluations only.

    Attributes:
        writer: the `torch.utils.tensorboard.SummaryWriter` of the run under way, for what else you have to write.

    Raises:
        ImportError: without TensorBoard, with the way to install it.
    """

    def __init__(self, folder: str | PathLike[str], every: int | str | Duration | None = "1%") -> None:
        super().__init__(every)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(f"TensorBoard is not installed ({error}); pip install 'danlu[tensorboard]'") from None
        self.folder, self._make = Path(folder), SummaryWriter
        self.writer: Any = None

    def open(self) -> None:
        """Begin a file: only now, since a run that is refused is to write nothing."""
        self.writer = self._make(str(self.folder))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add scalars."""
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Put everything on disk."""
        self.writer.close()


@final
class WandbStyle(Tracker):
    """Hands the numbers to a module with the functions ``init``, ``log`` and ``finish``, as wandb and trackio are.

    Args:
        module: ``wandb`` or ``trackio``, imported by you.
        every: from one logged update to the next; None for evaluations only.
        **options: for ``module.init``, such as ``project="digits", config={"lr": 1e-3}``.
    """

    def __init__(self, module: WandbModule, every: int | str | Duration | None = "1%", **options: Any) -> None:
        super().__init__(every)
        self.module, self.options = module, options

    def open(self) -> None:
        """Begin a run there."""
        self.module.init(**self.options)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Send them."""
        self.module.log(dict(numbers), step=step)

    def close(self) -> None:
        """End the run there."""
        self.module.finish()
