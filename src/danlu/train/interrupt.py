"""Ctrl-C: once to end well, twice to end now."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import final

__all__ = ["Interrupt"]

_NOTICE = b"\ninterrupted: ending after this update; press Ctrl-C again to leave at once\n"


@final
class Interrupt:
    """Within ``with Interrupt() as interrupt`` the first SIGINT sets `requested`, the second raises KeyboardInterrupt.

    Python delivers signals to the main thread only; in another one nothing is installed. The handler that was there
    before is always put back.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Interrupt:
        self._installed = threading.current_thread() is threading.main_thread()
        if self._installed:
            self._before = signal.signal(signal.SIGINT, self._receive)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._installed:  # None stands for a handler that was not set from Python, which cannot be set from it
            signal.signal(signal.SIGINT, signal.SIG_DFL if self._before is None else self._before)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        os.write(2, _NOTICE)  # not sys.stderr: the signal may have come in the middle of a write to it
