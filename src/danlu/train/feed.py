"""Data in windows, from any place in any epoch."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any

from danlu.keyed import seed_all
from danlu.train.window import Accumulate, windows

__all__ = ["feed"]


def feed(batches: Any, accumulate: Accumulate, seed: int, epoch: int = 0, within: int = 0) -> Iterator[tuple[int, list[Any]]]:
    """Yield the windows of epoch `epoch` from window `within` on, then those of the next epochs, without end.

    No window spans two epochs. Torch's generators are seeded with (seed, "epoch", e) before epoch e, which is where a
    `DataLoader` that shuffles gets its order from, and, for data that are not keyed themselves, with
    (seed, "fetch", e, k) before window k > 0 is read, so that augmentation in this process is a function of the place.

    Args:
        batches: something to iterate over in every epoch anew; or with ``epoch(e)``, which gives the batches of epoch
            e, better with ``epoch(e, start=k)``, which begins at batch k.
        accumulate: batches per window.
        seed: of the run.
        epoch: number of the first epoch.
        within: windows of it to leave out. Without `start` they are read and thrown away, and if the data are not
            a list and not keyed, a warning says what must hold for the rest to be what it would have been.

    Yields:
        The epoch's number and a window.

    Raises:
        ValueError: when an epoch has no batch.
    """
    for e in count(epoch):
        seed_all(seed, "epoch", e)
        start = within if e == epoch else 0
        empty = start == 0  # where windows are left out, nothing may remain
        for window in _windows(batches, accumulate, seed, e, start):
            empty = False
            yield e, window
        if empty:
            raise ValueError(f"train gave no batch in epoch {e}; a generator can be read only once, give a list")


def _windows(batches: Any, accumulate: int, seed: int, epoch: int, start: int) -> Iterator[list[Any]]:
    method = getattr(batches, "epoch", None)
    if callable(method):
        if start and "start" in inspect.signature(method).parameters:
            return windows(method(epoch, start=start * accumulate), accumulate)
        return islice(windows(method(epoch), accumulate), start, None)
    if isinstance(batches, Sequence):
        return windows(islice(batches, start * accumulate, None), accumulate)
    if start:
        what = f"train is not keyed: its first {start * accumulate} batches are read again and thrown away"
        warnings.warn(f"{what}; the rest is the same only if order and randomness come from torch's generators", stacklevel=2)
    return islice(windows(_seeded(batches, accumulate, seed, epoch), accumulate), start, None)


def _seeded(batches: Iterable[Any], accumulate: int, seed: int, epoch: int) -> Iterator[Any]:
    rest = iter(batches)  # with the first batch it draws a DataLoader's order, from (seed, "epoch", e)
    for k in count():
        if k and k % accumulate == 0:
            seed_all(seed, "fetch", epoch, k // accumulate)
        try:
            batch = next(rest)
        except StopIteration:
            return
        yield batch
