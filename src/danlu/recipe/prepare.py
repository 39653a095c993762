"""From a recipe to a run: the task's parts, the optimizer, the schedule and the trainer, joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import final

import torch

from danlu import optim, schedule
from danlu.recipe.dump import dump
from danlu.recipe.pictures import Pictures
from danlu.recipe.recipe import Recipe
from danlu.schedule import Duration
from danlu.task import TASKS, Parts
from danlu.train import Inspect, Keep, Observer, PlainLog, Result, TensorBoard, Trainer

__all__ = ["Run", "prepare"]


@final
@dataclass(frozen=True)
class Run:
    """A run that is ready to start."""

    recipe: Recipe
    parts: Parts
    trainer: Trainer

    def fit(self) -> Result:
        """Train, evaluating on the held-out data after each epoch, with the recipe's threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            return self.trainer.fit(self.parts.train, self.parts.test)
        finally:
            torch.set_num_threads(before)

    @property
    def threads(self) -> int:
        """How many CPU threads the run has."""
        return self.recipe.threads or torch.get_num_threads()


def prepare(
    recipe: Recipe,
    *,
    out: str | PathLike[str] | None = None,
    observers: Sequence[Observer] | None = None,
    save_every: int | str | Duration | None = "5min",
    keep: Keep | None = None,
    resume: bool = False,
) -> Run:
    """Build what a recipe names. The run's folder is made last, when nothing can be wrong any more.

    Args:
        recipe: what to run.
        out: the run's folder, which gets ``recipe.toml`` beside the trainer's files, or None.
        observers: as in `danlu.train.Trainer`, and so are `save_every` and `keep`.
        save_every: see there.
        keep: see there.
        resume: whether `out` holds a run of this recipe that is to go on.

    Returns:
        The run; ``run.fit()`` starts it.

    Raises:
        ImportError: when the task needs a package that is not there, with the way to install it.
        FileExistsError: when `out` holds another run.
        LockedError: when another process works in `out`.
        ValueError: when `save_every` is no length.
    """
    parts = TASKS.get(recipe.task).build(recipe.model, batch=recipe.batch, seed=recipe.seed)
    board = TensorBoard(Path(out) / "tb") if recipe.tensorboard and out is not None else None
    draws = [] if parts.draw is None or out is None else [Pictures(parts.draw, Path(out))]
    looks = [] if recipe.inspect == "none" else [Inspect(recipe.inspect, _in(out, "inspection.jsonl"), board)]
    watching = observers if board is None else [board, *([PlainLog()] if observers is None else observers)]
    trainer = Trainer(
        parts.model,
        parts.loss,
        optim.create(recipe.optimizer.name, parts.model, recipe.optimizer.lr, **recipe.optimizer.options),
        until=recipe.until,
        schedule=schedule.create(**recipe.schedule.model_dump()),
        accumulate=recipe.accumulate,
        clip=None if recipe.clip == "none" else recipe.clip,
        seed=recipe.seed,
        out=out,
        save_every=save_every,
        keep=keep,
        resume=resume,
        callbacks=[*looks, *draws],
        observers=watching,
    )
    if trainer.directory is not None and not resume:
        trainer.directory.write_text("recipe.toml", dump(recipe))
    return Run(recipe, parts, trainer)


def _in(folder: str | PathLike[str] | None, name: str) -> Path | None:
    return None if folder is None else Path(folder) / name
