"""``danlu page``: the trajectory page, live on this machine or as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu.cli.errors import reported
from danlu.cli.paths import folder_or_file

__all__ = ["page"]


def page(
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=folder_or_file("--export"), help="Write one HTML file with precomputed paths."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 0,
) -> None:
    """See optimizers move: serve the page on 127.0.0.1 until Ctrl-C, or export it. Needs the extra page."""
    with reported(ImportError, OSError):
        from danlu import page as pages

        if export is None:
            pages.serve(port, typer.echo)
            return
        pages.export(export, told=typer.echo)
    typer.echo(f"page in {export}, {export.stat().st_size:,} bytes")
