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

_HELD: dict[tuple[int, Path], list[int]] = {}  # file and holders; by process: a forked child inherits this, not the lock


class LockedError(OSError):
    """Another process works in the folder."""


@final
class Lock:
    """A lock file in a folder, held from construction until all who hold it in this process have released it.

    It is a POSIX record lock: the kernel drops it when the process dies, however it dies, so that the lock of a dead
    process stands in nobody's way, and DataLoader workers that outlive it do not keep it. The file names the holder,
    for the message; it is removed on release.

    Args:
        folder: what is locked.

    Raises:
        LockedError: when another process holds it.
        OSError: when the file cannot be made.
    """

    NAME = ".lock"

    def __init__(self, folder: Path) -> None:
        self.path = folder.resolve() / self.NAME
        self._key = (os.getpid(), self.path)
        if self._key in _HELD:
            _HELD[self._key][1] += 1
        else:
            _HELD[self._key] = [_locked(self.path, folder), 1]
        self._held = True

    def release(self) -> None:
        """Give it back, once; the last holder in this process removes the file."""
        if not self._held or self._key[0] != os.getpid():
            return
        self._held = False
        descriptor, holders = _HELD[self._key]
        if holders > 1:
            _HELD[self._key][1] -= 1
            return
        del _HELD[self._key]
        self.path.unlink(missing_ok=True)  # while it is still locked: who opened it meanwhile will see that it is gone
        os.close(descriptor)


def _locked(path: Path, folder: Path) -> int:
    """Open and lock the file."""
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
