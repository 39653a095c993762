"""Ctrl-C and SIGTERM: once to end well, twice to end now."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import final

__all__ = ["Interrupt"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NOTICES = {
    signal.SIGINT: b"\ninterrupted: ending after this update; press Ctrl-C again to leave at once\n",
    signal.SIGTERM: b"terminated: ending after this update; a second SIGTERM leaves at once\n",
}


@final
class Interrupt:
    """Within ``with Interrupt() as interrupt`` the first SIGINT or SIGTERM sets `requested`, the second one ends the block.

    The second raises KeyboardInterrupt if it is a SIGINT, and else SystemExit with 143, 128 + SIGTERM. Python delivers
    signals to the main thread only; in another one nothing is installed. The handlers that were there before are
    always put back.

    Attributes:
        signal: the name of the first signal, such as "SIGTERM"; empty before it.
    """

    def __init__(self) -> None:
        self.signal = ""

    @property
    def requested(self) -> bool:
        """Whether there was one."""
        return bool(self.signal)

    def __enter__(self) -> Interrupt:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._before.items():  # None: a handler not set from Python, which cannot be set from it
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        self.signal = signal.Signals(number).name
        os.write(2, _NOTICES[signal.Signals(number)])  # not sys.stderr: the signal may have come in the middle of a write to it
