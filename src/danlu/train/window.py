"""Windows: the micro-batches that make one update."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, TypeVar

from danlu.ranges import Interval, check, hints

__all__ = ["Accumulate", "epoch_of", "windows"]

B = TypeVar("B")
Accumulate = Annotated[int, Interval(1, math.inf, "left")]


def windows(batches: Iterable[B], accumulate: Accumulate) -> Iterator[list[B]]:
    """Group batches by `accumulate`, in order; the last window has what remains, and never nothing.

    Args:
        batches: one epoch's.
        accumulate: how many make one update.

    Returns:
        The windows, ⌈n/accumulate⌉ of them.
    """
    check("windows", hints(windows), {"accumulate": accumulate})
    rest = iter(batches)
    return iter(lambda: list(islice(rest, accumulate)), [])


def epoch_of(batches: Any, epoch: int) -> Iterable[Any]:
    """Return ``batches.epoch(epoch)`` if there is such a method, else the batches themselves."""
    method = getattr(batches, "epoch", None)
    return method(epoch) if callable(method) else batches
