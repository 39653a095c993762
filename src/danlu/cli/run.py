"""A run from its start to its exit code, whether it is new or resumed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console

from danlu.cli.errors import FAILED, INTERRUPTED, RESUMABLE, USAGE, fail, reported
from danlu.cli.progress import LiveLine
from danlu.cli.summary import before, summary
from danlu.recipe import Recipe, prepare
from danlu.schedule import Duration
from danlu.task import TASKS
from danlu.train import DamagedError, Keep, MismatchError, NonFiniteError, PlainLog
from danlu.train.micro_batch import is_about_memory

__all__ = ["EXIT_CODES", "KeepBest", "KeepEvery", "RecipeName", "SaveEvery", "carry_out"]

EXIT_CODES = (
    "Ctrl-C or SIGTERM once ends the run after the update under way and writes a checkpoint and the weights; twice, it ends "
    "at once. Exit codes: 0 done; 1 the run failed; 2 nothing was started, since something asked for is wrong; 75 after "
    "SIGTERM, danlu resume goes on; 130 after Ctrl-C."
)

RecipeName: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME|FILE", help="See danlu recipes; or a file, such as a run's recipe.toml.")
]
SaveEvery: TypeAlias = Annotated[str, typer.Option(metavar="LENGTH", help="From one checkpoint to the next: 5min, 1ep, 200.")]
KeepEvery: TypeAlias = Annotated[
    str | None, typer.Option(metavar="LENGTH", help="A checkpoint in each such interval stays for good: 1ep.")
]
KeepBest: TypeAlias = Annotated[bool, typer.Option("--keep-best", help="Also keep the checkpoint of the best evaluation.")]


def carry_out(
    recipe: Recipe,
    folder: Path,
    *,
    save_every: str,
    keep_best: bool,
    keep_every: str | None = None,
    resume: bool = False,
) -> None:
    """Make the run, train, say what came of it, and leave with the code that says so too."""
    console = Console(stderr=True)
    watching = LiveLine(console, TASKS.get(recipe.task).item) if console.is_terminal else PlainLog()
    with reported(ValueError):
        length = _length(save_every)
        keep = Keep(best=keep_best, every=None if keep_every is None else _length(keep_every))
    with reported(ImportError, OSError, ValueError):
        run = prepare(recipe, out=folder, observers=[watching], save_every=length, keep=keep, resume=resume)
    if not resume:
        typer.echo(before(run))
    if run.loaded is not None:
        typer.echo(f"\nfrom {recipe.weights_from}\n{run.loaded}")
    with (
        _warned(),
        reported(MismatchError, code=USAGE),
        reported(NonFiniteError, OSError, MemoryError, code=FAILED),
    ):
        try:
            result = run.fit()
        except DamagedError as error:
            fail([f"{error}; to begin again: danlu train --recipe {folder}/recipe.toml --out ANOTHER"])
        except KeyboardInterrupt:
            fail([f"left at once; no weights were written, the numbers so far are in {folder}"], INTERRUPTED)
        except (MemoryError, RuntimeError) as error:
            if not is_about_memory(error):
                raise
            fail([f"out of memory: {error}; lower batch, or make room and danlu resume {folder}"], FAILED)
    typer.echo(summary(run, result))
    if result.interrupted:
        raise typer.Exit(RESUMABLE if result.signal == "SIGTERM" else INTERRUPTED)


def _length(text: str) -> Duration:
    return Duration.parse(int(text) if text.isdecimal() else text)


@contextmanager
def _warned() -> Iterator[None]:
    """Show a warning as one line, as errors are, without the place in the code that gave it."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = _show
        yield


def _show(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"warning: {' '.join(str(message).split())}", err=True)
