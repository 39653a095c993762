"""The folder of one run: metrics.jsonl, status.json, model.safetensors, and what the caller adds."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from danlu.train.averaged import at_average, has_average
from danlu.train.clock import Clock
from danlu.train.durable import replaced
from danlu.train.environment import environment
from danlu.train.events import Observer, Result
from danlu.train.lock import Lock
from danlu.train.tensor_files import write_model

__all__ = ["RunDirectory", "RunRecord"]


@final
class RunDirectory:
    """A folder that holds one run, never two.

    Every file but metrics.jsonl is written beside its place and then moved there, so that a reader finds the old one
    or the new one, whole. Files that no run writes (a recipe, notes) may be there before.

    While there is an object of this class, or until `release`, the folder is this process's alone.

    Args:
        path: the folder; made if it is not there.
        resume: whether it may hold a run, which then goes on.

    Raises:
        FileExistsError: when the folder holds a run, or is a file.
        LockedError: when another process works in it.
    """

    METRICS = "metrics.jsonl"
    STATUS = "status.json"
    WEIGHTS = "model.safetensors"
    RAW = "raw.safetensors"
    ENVIRONMENT = "env.json"
    CHECKPOINTS = "checkpoints"

    def __init__(self, path: str | PathLike[str], *, resume: bool = False) -> None:
        self.path, self.resume = Path(path), resume
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(f"{self.path} is a file; choose another out= for the run's folder")
        self._check()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock: Lock | None = None
        self.claim()

    def claim(self) -> None:
        """Lock the folder for this process, until `release`, and see that it is still free; a second run asks again.

        Raises:
            LockedError: when another process works in it.
            FileExistsError: when it holds a run that is not to be resumed.
        """
        if self._lock is None:
            self._lock = Lock(self.path)
            weakref.finalize(self, self._lock.release)
        try:
            self._check()
        except FileExistsError:
            self.release()
            raise
        for left in self.path.glob(".*.*.tmp"):  # of a process that died while it wrote
            left.unlink()

    def release(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _check(self) -> None:
        names = () if self.resume else (self.METRICS, self.STATUS, self.WEIGHTS, self.RAW, self.CHECKPOINTS)
        for name in names:
            if (self.path / name).exists():
                how = "resume it, choose another out= or delete the folder"
                raise FileExistsError(f"{self.path} holds another run ({name}); {how}")

    @property
    def metrics(self) -> Path:
        """The file of the numbers, one JSON object per line."""
        return self.path / self.METRICS

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the folder, whole or not at all."""
        self._write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_status(self, status: Mapping[str, Any]) -> None:
        """Write status.json."""
        self.write_text(self.STATUS, json.dumps(status, indent=2) + "\n")

    def add_environment(self, found: Mapping[str, Any]) -> None:
        """Add an entry to env.json, a list with one for each time that the run was started."""
        try:
            before = json.loads((self.path / self.ENVIRONMENT).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none yet, or none that anybody can read
            before = []
        self.write_text(self.ENVIRONMENT, json.dumps([*before, found], indent=1) + "\n")

    def write_model(self, model: nn.Module, name: str = WEIGHTS) -> None:
        """Write the weights and buffers; tied weights are stored once.

        Read them with ``safetensors.torch.load_model(model, path)``, which runs no code from the file.

        Args:
            model: whose ``state_dict`` is written.
            name: of the file.
        """
        self._write(name, lambda path: write_model(model, path))

    def _write(self, name: str, fill: Callable[[Path], Any]) -> None:
        replaced(self.path / name, fill)


@final
class RunRecord(Observer):
    """Keeps status.json, from "running" to "finished", "interrupted" or "failed", and the weights at the end.

    Args:
        directory: the run's folder.
        model: whose weights are written, unless the run failed.
        optimizer: if it keeps an average, model.safetensors has the averaged weights, raw.safetensors those that were trained.
        shipped: a block inside which the model is at the weights to write; None for the optimizer's average.
    """

    def __init__(
        self,
        directory: RunDirectory,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        shipped: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> None:
        self.directory, self.model, self.optimizer = directory, model, optimizer
        self.shipped = shipped or partial(at_average, optimizer)

    def start(self, clock: Clock) -> None:
        """Say that the run is under way, and where: env.json has one entry per start."""
        self.directory.add_environment(environment())
        self.directory.write_status({"state": "running", "total": clock.total})

    def end(self, clock: Clock, result: Result) -> None:
        """Write the weights, then how the run ended."""
        if not result.error:
            with self.shipped():
                self.directory.write_model(self.model)
            if has_average(self.optimizer):
                self.directory.write_model(self.model, RunDirectory.RAW)
        state = "failed" if result.error else "interrupted" if result.interrupted else "finished"
        numbers = {"steps": result.steps, "skipped": result.skipped, "seconds": result.seconds}
        metrics = {"final": result.final, "best": result.best}
        self.directory.write_status({"state": state, "total": clock.total, **numbers, **metrics, "error": result.error})
