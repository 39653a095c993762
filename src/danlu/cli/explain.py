"""``danlu explain``: what a name stands for."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from danlu import optim
from danlu.cli.errors import fail, reported
from danlu.cli.listing import task_lines
from danlu.data import AUGMENTATIONS
from danlu.layers import LAYERS
from danlu.loss import LOSSES
from danlu.optim.catalog import PIECES
from danlu.optim.caveats import refusals
from danlu.optim.roster import PRESETS
from danlu.registry import UnknownNameError, did_you_mean
from danlu.schedule import SCHEDULES
from danlu.task import TASKS

__all__ = ["explain"]


def explain(
    name: Annotated[
        str,
        typer.Argument(
            help="An optimizer, also with pieces (adamw+modify.cautious), a schedule, a loss, a layer, an augmentation, a "
            "task, or AXIS.NAME."
        ),
    ],
) -> None:
    """Explain an optimizer, a schedule, a loss, a layer, an augmentation, a piece or a task."""
    axis, _, rest = name.partition(".")
    if name in PRESETS or "+" in name or "(" in name:
        with reported(UnknownNameError, TypeError, ValueError):
            typer.echo(optim.explain(name))
    elif name in SCHEDULES:
        typer.echo(f"{name}: {inspect.getdoc(SCHEDULES.get(name))}")
    elif name in LOSSES:
        typer.echo(f"{name}: {inspect.getdoc(LOSSES.get(name).thing)}\n\nsource\n    {LOSSES.get(name).source}")
    elif name in LAYERS:
        typer.echo(f"{name}: {inspect.getdoc(LAYERS.get(name))}")
    elif name in AUGMENTATIONS:
        typer.echo(f"{name}: {inspect.getdoc(AUGMENTATIONS.get(name).cls)}\n\nsource\n    {AUGMENTATIONS.get(name).source}")
    elif name in TASKS:
        typer.echo("\n".join(task_lines(TASKS.get(name))))
    elif axis in PIECES and rest in PIECES[axis]:
        piece = PIECES[axis].get(rest)
        refused = "".join(f"\n    {line}" for line in refusals([piece.cls]))
        sections = [f"refuses{refused}"] if refused else []
        typer.echo("\n\n".join([f"{name}: {inspect.getdoc(piece.cls)}", *sections, f"source\n    {piece.source}"]))
    else:
        pieces = [f"{axis}.{piece}" for axis, table in PIECES.items() for piece in table]
        near = did_you_mean(name, [*PRESETS, *SCHEDULES, *LOSSES, *LAYERS, *AUGMENTATIONS, *TASKS, *pieces])
        fail([f"nothing is called {name!r}{near or '; see danlu list'}"])
