"""Attempts in forked processes, so that a kill is a kill and the next attempt need not import torch again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import typer

__all__ = ["Ended", "attempt", "begun", "finish", "kill"]


@dataclass(frozen=True)
class Ended:
    """How a process ended; a negative code is the signal that killed it."""

    code: int
    errors: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        return [line for line in self.errors.splitlines() if line.startswith("error:")]

    @property
    def one_line(self) -> bool:
        """Whether it told what was wrong in exactly one line and no traceback."""
        return len(self.lines) == 1 and "Traceback" not in self.errors


@dataclass
class Child:
    pid: int
    log: Path
    began: float


def begun(work: Callable[[], object], log: Path) -> Child:
    """Start `work` in a process, and process group, of its own."""
    log.unlink(missing_ok=True)
    pid = os.fork()
    if pid:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        return Child(pid, log, time.monotonic())
    code = 99
    try:
        os.setpgid(0, 0)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        torch.set_num_threads(1)
        work()
        code = 0
    except typer.Exit as leave:
        code = leave.exit_code
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def finish(child: Child, limit: float = 120.0) -> Ended:
    """Wait for it; one that hangs is killed, and shows as such."""
    while time.monotonic() - child.began < limit:
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid:
            return Ended(
                os.waitstatus_to_exitcode(status), child.log.read_text(errors="replace"), time.monotonic() - child.began
            )
        time.sleep(0.002)
    return kill(child)


def kill(child: Child) -> Ended:
    """kill -9 the whole group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    _, status = os.waitpid(child.pid, 0)
    return _ended(child, status)


def _ended(child: Child, status: int) -> Ended:
    log = child.log.read_text(errors="replace") if child.log.exists() else ""
    return Ended(os.waitstatus_to_exitcode(status), log, time.monotonic() - child.began)


def attempt(work: Callable[[], object], log: Path, limit: float = 120.0) -> Ended:
    """Run it to its end."""
    return finish(begun(work, log), limit)
