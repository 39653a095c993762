"""The commands of ``danlu``, in the order of its help."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from danlu.cli.ensemble import average, ensemble
from danlu.cli.errors import UNREAD
from danlu.cli.explain import explain
from danlu.cli.export import export
from danlu.cli.listing import listing
from danlu.cli.look import inspect, report
from danlu.cli.lr_find import find
from danlu.cli.page import page
from danlu.cli.pictures import pictures
from danlu.cli.plot import plot
from danlu.cli.recipes import show_recipes
from danlu.cli.resume import resume
from danlu.cli.run import EXIT_CODES
from danlu.cli.train import train
from danlu.cli.warmup import warmup

__all__ = ["app"]


class _Commands(TyperGroup):
    """The group of all commands, whose output may be read in part: ``danlu list optimizers | head -1``."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; where nobody reads on, leave in silence and with the code that a shell has for it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
            raise typer.Exit(UNREAD) from None


app = typer.Typer(
    name="danlu",
    cls=_Commands,
    help="The craft of training PyTorch networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # an error that reaches the user as a traceback is a bug, to be read whole
)
schedule = typer.Typer(help="Look at schedules before a run.", no_args_is_help=True)

app.command("train", epilog=EXIT_CODES)(train)
app.command("resume", epilog=EXIT_CODES)(resume)
app.command("export")(export)
app.command("ensemble")(ensemble)
app.command("average")(average)
app.command("lr-find")(find)
app.command("recipes")(show_recipes)
app.command("list")(listing)
app.command("explain")(explain)
app.command("report")(report)
app.command("inspect")(inspect)
app.command("warmup")(warmup)
app.command("page")(page)
app.add_typer(pictures, name="plot")
app.add_typer(schedule, name="schedule")
schedule.command("plot")(plot)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"danlu {version('danlu')}")
        raise typer.Exit


@app.callback()
def _options(
    show: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """The options that stand before a command."""


@schedule.callback()
def _schedules() -> None:
    """Without this, typer would turn a group of one command into the command."""
