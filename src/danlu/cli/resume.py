"""``danlu resume``: go on with a run that was cut off, as if it had not been."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu.cli.errors import fail, reported
from danlu.cli.paths import folder_or_file
from danlu.cli.run import KeepBest, KeepEvery, SaveEvery, carry_out
from danlu.recipe import RecipeError, load

__all__ = ["resume"]


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", parser=folder_or_file("RUN"), help="The run's folder.")],
    save_every: SaveEvery = "5min",
    keep_best: KeepBest = False,
    keep_every: KeepEvery = None,
) -> None:
    """Go on with a run from its newest whole checkpoint; from the beginning if it was killed before the first one."""
    recipe = run / "recipe.toml"
    if not recipe.is_file():
        fail([f"{run} holds no run of danlu train: there is no {recipe}"])
    with reported(RecipeError):
        chosen = load(recipe)
    carry_out(chosen, run, save_every=save_every, keep_best=keep_best, keep_every=keep_every, resume=True)
