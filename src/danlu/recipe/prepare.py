"""From a recipe to a run: the task's parts, the optimizer, the schedule and the trainer, joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import final

import torch

from danlu import optim, schedule
from danlu.data.augmentation import create as augmentation
from danlu.optim.params import Params
from danlu.recipe.class_loss import ClassLoss
from danlu.recipe.dump import dump
from danlu.recipe.pictures import Pictures
from danlu.recipe.problems import RecipeError
from danlu.recipe.recipe import Recipe
from danlu.recipe.start import begin_from
from danlu.registry import did_you_mean
from danlu.schedule import Duration
from danlu.task import TASKS, Parts, start
from danlu.train import (
    Callback,
    Checkpoints,
    EarlyStop,
    Freeze,
    Inspect,
    Keep,
    LoadReport,
    Mix,
    Observer,
    PlainLog,
    Result,
    RunDirectory,
    Snapshots,
    TensorBoard,
    Trainer,
    evaluate,
)
from danlu.train.snapshots import SNAPSHOTS

__all__ = ["Run", "prepare"]


@final
@dataclass(frozen=True)
class Run:
    """A run that is ready to start."""

    recipe: Recipe
    parts: Parts
    trainer: Trainer
    loaded: LoadReport | None = None

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
        RecipeError: when an early stop goes by a number that the evaluations do not have.
        ImportError: when the task needs a package that is not there, with the way to install it.
        FileNotFoundError: when there are no weights to start from.
        FileExistsError: when `out` holds another run.
        LockedError: when another process works in `out`.
        ValueError: when `save_every` is no length, weights do not fit, or a glob fits no parameter.
    """
    parts = TASKS.get(recipe.task).build(recipe.model, batch=recipe.batch, seed=recipe.seed, augment=recipe.augment)
    if recipe.init != "none":
        start(parts.model, recipe.init, recipe.seed)
    begun = resume and out is not None and bool(Checkpoints(Path(out) / RunDirectory.CHECKPOINTS).all())
    loaded = None if recipe.weights_from == "none" or begun else begin_from(parts.model, recipe.weights_from, recipe.fresh)
    board = TensorBoard(Path(out) / "tb") if recipe.tensorboard and out is not None else None
    watching = observers if board is None else [board, *([PlainLog()] if observers is None else observers)]
    cyclic = schedule.create(**recipe.schedule.model_dump())
    if recipe.snapshots:
        cyclic = replace(cyclic, shape=schedule.Cyclic(cyclic.shape, recipe.snapshots))
    trainer = Trainer(
        parts.model,
        parts.loss,
        optim.create(recipe.optimizer.name, _params(parts, recipe), recipe.optimizer.lr, **recipe.optimizer.options),
        until=recipe.until,
        schedule=cyclic,
        accumulate=recipe.accumulate,
        micro_batch=None if recipe.micro_batch == "none" else recipe.micro_batch,
        precision=recipe.precision,
        clip=None if recipe.clip == "none" else recipe.clip,
        seed=recipe.seed,
        recalibrate=recipe.recalibrate,
        out=out,
        save_every=save_every,
        keep=keep,
        resume=resume,
        callbacks=[*_callbacks(parts, recipe, None if out is None else Path(out), board)],
        observers=watching,
    )
    if trainer.directory is not None and not resume:
        trainer.directory.write_text("recipe.toml", dump(recipe))
    return Run(recipe, parts, trainer, loaded)


def _params(parts: Parts, recipe: Recipe) -> Params:
    if recipe.layer_decay == 1.0:
        return parts.model
    return optim.groups(parts.model, *optim.layer_decay(parts.model, recipe.layer_decay))


def _callbacks(parts: Parts, recipe: Recipe, folder: Path | None, board: TensorBoard | None) -> Iterator[Callback]:
    if ClassLoss.wanted(recipe):
        yield ClassLoss(parts, recipe)
    if recipe.mix:
        yield Mix(*map(augmentation, recipe.mix))
    if recipe.inspect != "none":
        yield Inspect(recipe.inspect, None if folder is None else folder / "inspection.jsonl", board)
    for part in recipe.freeze:
        yield Freeze(*part.names, but=part.but, until=None if part.until == "none" else part.until)
    if (stop := recipe.early_stop).patience != "none":
        _refuse_unknown_metric(parts, stop.metric)
        yield EarlyStop(**stop.model_dump())
    if recipe.snapshots and folder is not None:
        yield Snapshots(folder / SNAPSHOTS, recipe.snapshots, recipe.schedule.warmup)
    if parts.draw is not None and folder is not None:
        yield Pictures(parts.draw, folder)


def _refuse_unknown_metric(parts: Parts, metric: str) -> None:
    """Look at one batch for the names that an evaluation is going to have, rather than fail at the first one."""
    batch = next(iter(parts.test))
    with torch.random.fork_rng(devices=[]):
        names = [*evaluate(parts.model, parts.loss, [batch], "valid"), *evaluate(parts.model, parts.loss, [batch], "train")]
    if metric not in names:
        raise RecipeError([f"early_stop.metric: no number {metric!r} in the evaluations{did_you_mean(metric, names)}"])
