"""Timing on a machine that is never quiet: everybody takes turns in one process, and only ratios of one round are compared."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

__all__ = ["Contestant", "interleave", "machine", "prepare_process", "ratio"]

WARM_UP = 3
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)


class Contestant:
    """One way to make the step.

    Args:
        name: what the table calls it.
        step: the step.
        prepare: what comes before each step, off the clock.
    """

    def __init__(self, name: str, step: Callable[[], Any], prepare: Callable[[], None] = lambda: None) -> None:
        self.name, self.step, self.prepare = name, step, prepare
        self.seconds: list[float] = []  # per step, one entry per round
        self.first = self.call()

    def call(self) -> float:
        """Seconds of one step."""
        self.prepare()
        start = perf_counter()
        self.step()
        return perf_counter() - start

    def play(self, calls: int) -> None:
        """Take one turn of `calls` steps."""
        self.seconds.append(sum(self.call() for _ in range(calls)) / calls)

    @property
    def best(self) -> float:
        """Seconds of the best round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Seconds of the median round."""
        return statistics.median(self.seconds)


def interleave(contestants: Sequence[Contestant], rounds: int, calls: int) -> None:
    """Let each contestant take one turn per round; the order rotates, so that nobody always follows the same one."""
    for contestant in contestants:
        for _ in range(WARM_UP):
            contestant.call()
    gc.collect()
    gc.disable()
    for i in range(rounds):
        shift = i % len(contestants)
        for contestant in [*contestants[shift:], *contestants[:shift]]:
            contestant.play(calls)
    gc.enable()


def ratio(slow: Contestant, fast: Contestant) -> tuple[float, float]:
    """How many times longer `slow` takes: the median over the rounds, and best against best."""
    return statistics.median(s / f for s, f in zip(slow.seconds, fast.seconds, strict=True)), slow.best / fast.best


def prepare_process() -> None:
    """Take real-time priority and keep freed memory; call it before torch starts its threads, which inherit the priority."""
    _go_first()
    _keep_memory()


def _go_first() -> None:
    """Ask for real-time priority (root on Linux)."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except (AttributeError, PermissionError):
        print("running without priority over the machine's other work: expect more noise")


def _keep_memory() -> None:
    """Have glibc keep what temporaries give back.

    Left alone it decides by the sizes it has seen, so that the loops of other libraries take twice as long in some processes:
    each of their temporaries is then new to the system and faulted in page by page. This is their better case.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None or not (mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, 2**31 - 1)):
        print("the C library may return the memory of temporaries: expect other libraries to look slower in some runs")


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    load = " ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    return {"torch": torch.__version__, "threads": threads, "cpu": model, "load": load}
