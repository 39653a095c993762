"""``danlu report`` and ``danlu inspect``: look at a run, finished or not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu.cli.errors import reported
from danlu.cli.paths import folder_or_file
from danlu.inspection import heatmaps, verdicts
from danlu.recipe import RecipeError, load
from danlu.report import RunFolder, write_report

__all__ = ["inspect", "report"]

Folder = Annotated[
    Path, typer.Argument(metavar="RUN", parser=folder_or_file("RUN"), help="A run's folder, such as runs/digits-1.")
]


def report(run: Folder) -> None:
    """Write RUN/report.html: curves, inspection, recipe and environment in one file that needs no network."""
    with reported(OSError, ImportError, RecipeError):
        task = RunFolder.read(run).recipe.get("task")
        base = None if task is None else load(flags={"task": task}).model_dump()
        path = write_report(run, base)
    typer.echo(f"report in {path}")


def inspect(run: Folder) -> None:
    """Write histograms of weights and gradients over time as pictures, and say what they mean."""
    with reported(OSError, ImportError):
        found = RunFolder.read(run)
        if not found.readings:
            raise FileNotFoundError(f"{run} was not looked into; train with --set inspect=2%")
        for what in ("weights", "gradients"):
            heatmaps(found.readings, what).savefig(run / f"{what}.png", dpi=130)
    last = found.readings[-1]
    typer.echo(f"{len(found.readings)} looks, the last at update {last.step}")
    typer.echo(str(last))
    for verdict in verdicts(found.readings):
        typer.echo(str(verdict))
    if not verdicts(found.readings):
        typer.echo("nothing to complain of")
    typer.echo(f"pictures in {run / 'weights.png'} and {run / 'gradients.png'}")
