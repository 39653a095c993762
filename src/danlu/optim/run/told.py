"""What is said on stderr while a compiler works: once that it does, and how long each long build took."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

from danlu.optim.run.cache import known, note

__all__ = ["told", "untold"]

_LONG = 5.0  # seconds
_SAID: set[str] = set()
_FIRST = (
    "danlu: building the optimizer's kernels, which takes 5 to 20 s, longer on a busy machine, and happens once per machine; "
    "danlu warmup NAME does it ahead"
)
_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def told(rule: str, kernel: object) -> Iterator[None]:
    """Say what is waited for while a kernel is built in the block, unless an earlier process left it on disk; note that it was.

    Lines on stderr, no warnings: a first step is nothing to be mended, and must not fail where warnings are errors.

    Args:
        rule: the text of its structure.
        kernel: what distinguishes it from the rule's others, written alike in every process.
    """
    silent = _quiet.get() or known(rule, [kernel])
    if not silent and _FIRST not in _SAID:
        _SAID.add(_FIRST)
        _say(_FIRST)
    start = perf_counter()
    yield
    if not silent and (seconds := perf_counter() - start) > _LONG:
        _say(f"danlu: a kernel was built in {seconds:.0f} s")
    note(rule, kernel)


@contextmanager
def untold() -> Iterator[None]:
    """Build in the block without a word: for who was asked to build, and says so."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
