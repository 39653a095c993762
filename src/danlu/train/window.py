"""Windows: the micro-batches that make one update."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import Annotated, Any, TypeVar

from danlu.keyed import seed_all
from danlu.ranges import Interval, check, hints

__all__ = ["Accumulate", "epoch_of", "epochs", "windows"]

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


def epochs(batches: Any, accumulate: Accumulate, seed: int) -> Iterator[list[Any]]:
    """Yield the windows of epoch 0, 1, …, without end; no window spans two epochs.

    Before each epoch torch's generators are seeded with (seed, "epoch", e), which is where a `DataLoader` that
    shuffles gets its order from.

    Args:
        batches: something to iterate over in every epoch anew, or with ``epoch(e)``.
        accumulate: batches per window.
        seed: of the run.

    Yields:
        Windows.

    Raises:
        ValueError: when an epoch has no batch.
    """
    for epoch in count():
        seed_all(seed, "epoch", epoch)
        empty = True
        for window in windows(epoch_of(batches, epoch), accumulate):
            empty = False
            yield window
        if empty:
            raise ValueError(f"train gave no batch in epoch {epoch}; a generator can be read only once, give a list")


def epoch_of(batches: Any, epoch: int) -> Iterable[Any]:
    """Return ``batches.epoch(epoch)`` if there is such a method, else the batches themselves."""
    method = getattr(batches, "epoch", None)
    return method(epoch) if callable(method) else batches
