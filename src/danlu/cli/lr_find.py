"""``danlu lr-find``: a learning rate range test of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from danlu.cli.errors import FAILED, reported
from danlu.cli.paths import new_file
from danlu.cli.run import RecipeName
from danlu.recipe import RecipeError, load, prepare
from danlu.train import lr_find

__all__ = ["find"]

_CAVEAT = (
    "This is a test of a run's first updates: it knows nothing of warm-up and decay, and optimizers that set their own rate "
    "have another law. Runs at a third, at once and at three times the valley say more."
)


def find(
    task: Annotated[str | None, typer.Argument(help="What to train; see danlu list tasks. A recipe may say it.")] = None,
    recipe: RecipeName = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value: optimizer.name=lion.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For all that is random.")] = None,
    lowest: Annotated[float, typer.Option(help="The first rate.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="The last one.")] = 10.0,
    updates: Annotated[int, typer.Option(help="How many.")] = 100,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=new_file("--out", ".png"), help="Also write a picture, FILE.png (extra plot)."),
    ] = None,
) -> None:
    """Raise the learning rate update by update and show what becomes of the loss."""
    flags = {key: value for key, value in {"task": task, "seed": seed}.items() if value is not None}
    with reported(RecipeError):
        chosen = load(recipe, sets or (), flags)
    with reported(ImportError, OSError, ValueError):
        run = prepare(chosen, observers=[])
    torch.set_num_threads(run.threads)
    clip = None if chosen.clip == "none" else chosen.clip
    with reported(ValueError):
        curve = lr_find(
            run.parts.model,
            run.parts.loss,
            run.trainer.optimizer,
            run.parts.train,
            lowest=lowest,
            highest=highest,
            updates=updates,
            accumulate=chosen.accumulate,
            clip=clip,
            seed=chosen.seed,
        )
    typer.echo(f"{curve.table()}\n\n{_CAVEAT}")
    if out is not None:
        with reported(ImportError, OSError, ValueError, code=FAILED):
            curve.png(out)
        typer.echo(f"picture in {out}")
