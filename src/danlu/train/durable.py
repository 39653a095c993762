"""Files that survive a crash: a reader finds the old one or the new one, whole, also after a loss of power."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["replaced", "sync"]


def replaced(path: Path, fill: Callable[[Path], Any]) -> None:
    """Write a file beside its place, bring it to the disk, and move it there.

    Args:
        path: of the file.
        fill: writes the file whose path it is given; when it raises, nothing has changed.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fill(beside)
        sync(beside)  # else a crash may leave the new name with no content
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Return when a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
