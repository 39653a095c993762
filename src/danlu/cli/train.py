"""``danlu train``: run a recipe, and say what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from danlu.cli.errors import FAILED, INTERRUPTED, fail, reported
from danlu.cli.progress import LiveLine
from danlu.cli.summary import before, summary
from danlu.recipe import RecipeError, load, prepare
from danlu.task import TASKS
from danlu.train import NonFiniteError, PlainLog

__all__ = ["EXIT_CODES", "train"]

EXIT_CODES = (
    "Ctrl-C once ends the run after the update under way and writes the weights; twice, it ends at once. "
    "Exit codes: 0 done; 1 the run failed; 2 nothing was started, since something asked for is wrong; 130 after Ctrl-C."
)


def train(
    task: Annotated[str | None, typer.Argument(help="What to train; see danlu list tasks. A recipe may say it.")] = None,
    recipe: Annotated[Path | None, typer.Option(metavar="FILE", help="A recipe, such as a run's recipe.toml.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value: optimizer.lr=3e-4.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The run's folder; runs/TASK-N if not said.")] = None,
    seed: Annotated[int | None, typer.Option(help="For all that is random.")] = None,
) -> None:
    """Train a model on real data that needs no network."""
    flags = {key: value for key, value in {"task": task, "seed": seed}.items() if value is not None}
    with reported(RecipeError):
        chosen = load(recipe, sets or (), flags)
    console = Console(stderr=True)
    watching = LiveLine(console, TASKS.get(chosen.task).item) if console.is_terminal else PlainLog()
    folder = out or _next_folder(chosen.task)
    with reported(ImportError, OSError):
        run = prepare(chosen, out=folder, observers=[watching])
    typer.echo(before(run))
    with reported(NonFiniteError, OSError, code=FAILED):
        try:
            result = run.fit()
        except KeyboardInterrupt:
            fail([f"left at once; no weights were written, the numbers so far are in {folder}"], INTERRUPTED)
    typer.echo(summary(run, result))
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)


def _next_folder(task: str) -> Path:
    """``runs/TASK-N`` with N one above the highest there is."""
    taken = [path.name.removeprefix(f"{task}-") for path in Path("runs").glob(f"{task}-*")]
    return Path("runs") / f"{task}-{1 + max((int(n) for n in taken if n.isdecimal()), default=0)}"
