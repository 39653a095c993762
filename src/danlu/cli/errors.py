"""How the command line ends: one line per error on stderr, and an exit code that says whose it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from typing import NoReturn

import typer

__all__ = ["FAILED", "INTERRUPTED", "RESUMABLE", "UNREAD", "USAGE", "fail", "reported"]

FAILED = 1  # the run went wrong: a loss that is nan, a full disk
USAGE = 2  # nothing was done: a name, a value or a file was wrong, or a package is missing
RESUMABLE = 75  # SIGTERM: EX_TEMPFAIL, try again; schedulers know it
INTERRUPTED = 130  # Ctrl-C, as shells have it: 128 + SIGINT
UNREAD = 141  # nobody reads what we print any more, as behind head: 128 + SIGPIPE

# What the library calls its arguments, and how they are said here.
_SAID = {
    "choose another out=": "choose another --out",
    "lower lr, clip, or pass nonfinite='skip'": "set a lower optimizer.lr, or a lower clip",
    "; pass rename=": "",  # there is no flag for it
}


def fail(lines: Iterable[str], code: int = USAGE) -> NoReturn:
    """Print each line after ``error:`` and leave.

    Raises:
        typer.Exit: always.
    """
    for line in lines:
        typer.echo(f"error: {' '.join(line.split())}", err=True)
    raise typer.Exit(code)


@contextmanager
def reported(*kinds: type[Exception], code: int = USAGE) -> Iterator[None]:
    """Turn the errors of these kinds into lines; others are bugs and go through."""
    try:
        yield
    except BrokenPipeError:
        raise  # there is nobody to tell
    except kinds as error:
        fail(getattr(error, "lines", None) or _told(error).splitlines(), code)


def _told(error: Exception) -> str:
    """The error's own words; of one that comes from the system the place and the reason, without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return reduce(lambda text, said: text.replace(*said), _SAID.items(), str(error))
