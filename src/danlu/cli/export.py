"""``danlu export``: the weights of a run as one file that needs no danlu to be read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer

from danlu.cli.errors import fail, reported
from danlu.cli.paths import folder_or_file, new_file
from danlu.train import Checkpoints, DamagedError, RunDirectory, Snapshot
from danlu.train.checkpoint.snapshot import AVERAGED, RAW
from danlu.train.durable import replaced

__all__ = ["export"]

Which = Literal["averaged", "raw", "best"]


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", parser=folder_or_file("RUN"), help="The run's folder.")],
    weights: Annotated[
        Which | None, typer.Option(help="averaged, raw, or best; the average if there is one when not said.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", parser=new_file("--out"), help="RUN/export.safetensors if not said.")
    ] = None,
) -> None:
    """Write the weights of the newest whole checkpoint, or of the best one, as plain safetensors."""
    checkpoints = Checkpoints(run / RunDirectory.CHECKPOINTS)
    with reported(DamagedError):
        found = _best(checkpoints, run) if weights == "best" else checkpoints.newest(_told)
    if found is None:
        fail([f"{run} holds no checkpoint"])
    averaged = (found.path / AVERAGED).is_file()
    if weights == "averaged" and not averaged:
        fail([f"{found.path.name} keeps no average; --weights raw has what was trained"])
    source = found.path / (AVERAGED if averaged and weights != "raw" else RAW)
    target = out or run / "export.safetensors"
    with reported(OSError):
        replaced(target, lambda path: shutil.copyfile(source, path))
    typer.echo(f"{target}: {source.stem} weights of {found.path.name}, {source.stat().st_size:,} bytes")


def _best(checkpoints: Checkpoints, run: Path) -> Snapshot:
    path = checkpoints.best()
    if path is None:
        fail([f"{run} kept no best checkpoint; train with --keep-best"])
    return Snapshot.read(path)


def _told(line: str) -> None:
    typer.echo(f"warning: {line}", err=True)
