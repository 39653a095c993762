"""Files and folders on the command line, looked at before any work is done."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from danlu.cli.errors import fail

__all__ = ["folder_or_file", "new_file"]


def folder_or_file(what: str) -> Callable[[str], Path]:
    """Return a reader of paths for an option or argument called `what`.

    Python takes the empty text, which an unset variable of the shell leaves, for the working directory; it is refused.
    """

    def read(text: str) -> Path:
        if not text:
            fail([f"{what} is empty; was a shell variable not set? The working directory is '.'"])
        return Path(text)

    return read


def new_file(what: str, *suffixes: str) -> Callable[[str], Path]:
    """Return a reader of paths of files that are going to be written: into a folder that is there, with one of the suffixes.

    Args:
        what: the option.
        suffixes: such as ``".png"``; none for any.
    """
    path_of = folder_or_file(what)

    def read(text: str) -> Path:
        path = path_of(text)
        if suffixes and path.suffix.lower() not in suffixes:
            fail([f"{what} {text}: must end in {' or '.join(suffixes)}"])
        if not path.parent.is_dir():
            fail([f"{text}: {os.strerror(errno.ENOENT)}"])  # what the system would say after the work
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            fail([f"{what} {text}: cannot be written"])
        return path

    return read
