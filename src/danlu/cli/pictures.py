"""``danlu plot``: paths and schedules as pictures for papers and pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu import surface as surfaces
from danlu.cli.errors import reported
from danlu.cli.gallery import gallery
from danlu.cli.journey import journey
from danlu.cli.paths import new_file
from danlu.cli.plot import plot
from danlu.optim.compose import compose
from danlu.recipe import RecipeError, parse_set

__all__ = ["pictures", "trajectories"]

pictures = typer.Typer(help="Pictures of optimizers' paths and of schedules.", no_args_is_help=True)
pictures.command("schedules")(plot)
pictures.command("run")(journey)
pictures.command("gallery")(gallery)


@pictures.command("trajectories")
def trajectories(
    rules: Annotated[list[str], typer.Argument(metavar="RULE", help="Optimizers, also with pieces (adamw+modify.cautious).")],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", parser=new_file("--out", ".png", ".svg", ".pdf"), help="FILE.png, FILE.svg or FILE.pdf."),
    ],
    surface: Annotated[str, typer.Option(help="The function.")] = "rosenbrock",
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An argument of the surface: condition=100.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="For all; the best of 22 for each if not said.")] = None,
    start: Annotated[tuple[float, float] | None, typer.Option(help="x y; the surface's own if not said.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Updates.")] = 300,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    noise: Annotated[float, typer.Option(min=0.0, help="The standard deviation of Gaussian noise on the gradients.")] = 0.0,
) -> None:
    """Draw the paths of rules on a surface. Needs the extra plot."""
    with reported(RecipeError, TypeError, ValueError, ImportError, OSError):
        options = {key: value for one in sets or () for key, value in parse_set(one).values.items()}
        found = surfaces.create(surface, **options)
        traces = {}
        for text in rules:
            named = compose(text)
            rule = named.build(named.options)
            rate = surfaces.best_lr(rule, found, steps) if lr is None else lr
            drawn = surfaces.Gaussian(noise) if noise else None
            label = f"{text}, lr {rate:.3g}"
            traces[label] = surfaces.trace(rule, found, start or found.start, rate, steps, seed, noise=drawn)
        surfaces.picture(out, found, traces, f"{surface}, {steps} updates")
    for label, one in traces.items():
        typer.echo(f"{label}: ends at loss {one.loss[0, 0, -1]:.4g}")
    typer.echo(f"picture in {out}")
