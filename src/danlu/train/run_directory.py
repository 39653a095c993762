"""The folder of one run: metrics.jsonl, status.json, model.safetensors, and what the caller adds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, final

import torch
from safetensors.torch import save_model
from torch import nn

from danlu.train.averaged import at_average, has_average
from danlu.train.clock import Clock
from danlu.train.events import Observer, Result

__all__ = ["RunDirectory", "RunRecord"]


@final
class RunDirectory:
    """A folder that holds one run, never two.

    Every file but metrics.jsonl is written beside its place and then moved there, so that a reader finds the old one
    or the new one, whole. Files that no run writes (a recipe, notes) may be there before.

    Args:
        path: the folder; made if it is not there.

    Raises:
        FileExistsError: when the folder holds a run, or is a file.
    """

    METRICS = "metrics.jsonl"
    STATUS = "status.json"
    WEIGHTS = "model.safetensors"
    RAW = "raw.safetensors"

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(f"{self.path} is a file; choose another out= for the run's folder")
        for name in (self.METRICS, self.STATUS, self.WEIGHTS, self.RAW):
            if (self.path / name).exists():
                raise FileExistsError(f"{self.path} holds another run ({name}); choose another out= or delete the folder")
        self.path.mkdir(parents=True, exist_ok=True)

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

    def write_model(self, model: nn.Module, name: str = WEIGHTS) -> None:
        """Write the weights and buffers; tied weights are stored once.

        Read them with ``safetensors.torch.load_model(model, path)``, which runs no code from the file.

        Args:
            model: whose ``state_dict`` is written.
            name: of the file.
        """
        self._write(name, lambda path: save_model(model, str(path)))

    def _write(self, name: str, fill: Callable[[Path], Any]) -> None:
        beside = self.path / f".{name}.{os.getpid()}.tmp"
        try:
            fill(beside)
            with beside.open("rb+") as file:
                os.fsync(file.fileno())  # else a crash may leave the new name with no content
            beside.replace(self.path / name)
        finally:
            beside.unlink(missing_ok=True)


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
        """Say that the run is under way."""
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
