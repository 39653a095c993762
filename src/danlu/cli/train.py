"""``danlu train``: run a recipe, and say what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu.cli.errors import reported
from danlu.cli.paths import folder_or_file
from danlu.cli.run import KeepBest, KeepEvery, RecipeName, SaveEvery, carry_out
from danlu.recipe import RecipeError, load

__all__ = ["train"]


def train(
    task: Annotated[str | None, typer.Argument(help="What to train; see danlu list tasks. A recipe may say it.")] = None,
    recipe: RecipeName = None,
    begin: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="RUN", parser=folder_or_file("--from"), help="Start from the weights of a run, or of a file."
        ),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value: optimizer.lr=3e-4.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", parser=folder_or_file("--out"), help="The run's folder; runs/TASK-N if not said."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For all that is random.")] = None,
    save_every: SaveEvery = "5min",
    keep_best: KeepBest = False,
    keep_every: KeepEvery = None,
) -> None:
    """Train a model on real data that needs no network."""
    source = None if begin is None else str(begin.resolve())
    flags = {key: x for key, x in {"task": task, "seed": seed, "weights_from": source}.items() if x is not None}
    with reported(RecipeError):
        chosen = load(recipe, sets or (), flags)
    carry_out(chosen, out or _next_folder(chosen.task), save_every=save_every, keep_best=keep_best, keep_every=keep_every)


def _next_folder(task: str) -> Path:
    """``runs/TASK-N`` with N one above the highest there is."""
    taken = [path.name.removeprefix(f"{task}-") for path in Path("runs").glob(f"{task}-*")]
    return Path("runs") / f"{task}-{1 + max((int(n) for n in taken if n.isdecimal()), default=0)}"
