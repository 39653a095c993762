"""``danlu recipes``: the recipes that come with the library."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Annotated

import typer

from danlu.cli.errors import reported
from danlu.recipe import About, recipes
from danlu.registry import UnknownNameError

__all__ = ["show_recipes"]

_WIDE = 100


def show_recipes(
    name: Annotated[str | None, typer.Argument(help="Only this one, as the file that it is.")] = None,
) -> None:
    """Show the recipes that come with the library: what each is for, what to expect, and its sources."""
    known = recipes()
    if name is not None:
        with reported(UnknownNameError):
            typer.echo(known.get(name).path.read_text(encoding="utf-8").rstrip())
        return
    typer.echo("\n\n".join("\n".join(_lines(each, known.get(each))) for each in known))


def _lines(name: str, about: About) -> Iterator[str]:
    yield f"{name}: {about.purpose}"
    for label, texts in {"expected": [about.expected], "sources": about.sources}.items():
        for i, text in enumerate(texts):
            lead = f"    {label if i == 0 else '':<10}"
            yield from wrap(text, _WIDE, initial_indent=lead, subsequent_indent=" " * len(lead))
