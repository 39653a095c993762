"""``danlu schedule plot``: a schedule as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu.cli.errors import reported
from danlu.cli.paths import new_file
from danlu.ranges import NonNegative, check
from danlu.recipe import RecipeError, parse_set
from danlu.schedule import Per, WarmupFrom, create, png, text

__all__ = ["plot"]


def plot(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Schedules; see danlu list schedules.")],
    warmup: Annotated[str, typer.Option(help="Updates ('200'), epochs ('2ep') or a share of the run ('5%').")] = "0",
    warmup_from: Annotated[WarmupFrom, typer.Option(help="The ramp's start: 'one' W-th or 'zero'.")] = "one",
    per: Annotated[Per, typer.Option(help="'step', or 'epoch' for a staircase.")] = "step",
    total: Annotated[int, typer.Option(min=1, help="Updates of the run.")] = 1000,
    steps_per_epoch: Annotated[int, typer.Option(min=1, help="Updates of an epoch.")] = 100,
    lr: Annotated[float, typer.Option(help="The peak.")] = 1.0,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An argument of the schedules: floor=0.1.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=new_file("--out", ".png"), help="Also write a picture, FILE.png (extra plot)."),
    ] = None,
) -> None:
    """Draw schedules in the terminal, and into a PNG file with --out."""
    with reported(RecipeError, TypeError, ValueError, ImportError, OSError):
        check("schedule plot", {"--lr": NonNegative}, {"--lr": lr})
        options = {key: value for one in sets or () for key, value in parse_set(one).values.items()}
        curves = {name: create(name, warmup=warmup, warmup_from=warmup_from, per=per, **options) for name in names}
        pictures = [text(curve, total, steps_per_epoch, lr=lr) for curve in curves.values()]
        if out is not None:
            png(out, curves, total, steps_per_epoch, lr=lr)
    for name, picture in zip(curves, pictures, strict=True):
        typer.echo(f"{name}\n{picture}\n")
    if out is not None:
        typer.echo(f"picture in {out}")
