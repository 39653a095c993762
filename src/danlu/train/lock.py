"""One process per folder."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import final

try:
    import fcntl
except ImportError:  # not on Windows, where nothing is locked
    fcntl = None

__all__ = ["Lock", "LockedError"]

_HELD: dict[tuple[int, Path], Lock] = {}  # by process, since a forked child inherits the dictionary but not the lock


class LockedError(OSError):
    """Another process works in the folder."""


@final
class Lock:
    """A lock file in a folder, held from construction until every holder in this process has released it.

    It is a POSIX record lock: the kernel drops it when the process dies, however it dies, so that the lock of a dead
    process stands in nobody's way, and DataLoader workers that outlive it do not keep it. The file names the holder,
    for the message; it is removed on release.

    Args:
        folder: what is locked.

    Raises:
        LockedError: when another process holds it.
    """

    NAME = ".lock"

    def __init__(self, folder: Path) -> None:
        self.path = folder.resolve() / self.NAME
        self.holders = 1
        key = (os.getpid(), self.path)
        if key in _HELD:
            _HELD[key].holders += 1
            return
        self._file = _locked(self.path, folder)
        _HELD[key] = self

    def release(self) -> None:
        """Give it back; the last holder in this process removes the file."""
        key = (os.getpid(), self.path)
        held = _HELD.get(key)
        if held is None:
            return
        held.holders -= 1
        if not held.holders:
            del _HELD[key]
            self.path.unlink(missing_ok=True)  # while it is still locked: who opened it meanwhile will see that it is gone
            os.close(held._file)


def _locked(path: Path, folder: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if fcntl is not None:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return descriptor
        except (BlockingIOError, PermissionError):
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise LockedError(f"{folder} is in use by {holder}; wait for it, end it, or choose another folder") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the holder has just removed the file; the name is free, or somebody else's
