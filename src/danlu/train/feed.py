"""Data in windows, from any place in any epoch."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any

from danlu.keyed import seed_all
from danlu.train.callback import Stateful
from danlu.train.window import Accumulate, windows

__all__ = ["feed", "length", "place_of"]


def length(data: Any) -> int | None:
    """Return the batches of an epoch; None where that is not known, also for a DataLoader over a stream."""
    try:
        return len(data)
    except TypeError:
        return None


def place_of(batches: Any) -> Mapping[str, Any] | None:
    """Return the place in data that keep one themselves, as torchdata's loaders do; None for others, and for keyed ones."""
    own = isinstance(batches, Stateful) and not _is_keyed(batches)
    return batches.state_dict() if own else None


def feed(
    batches: Any,
    accumulate: Accumulate,
    seed: int,
    epoch: int = 0,
    within: int = 0,
    place: Mapping[str, Any] | None = None,
) -> Iterator[tuple[int, list[Any]]]:
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
        within: windows of it to leave out. Without `start` or `place` they are read and thrown away, and if the data are not
            a list and not keyed, a warning says what must hold for the rest to be what it would have been. Of such data an
            epoch that is over, by their length, is not read at all: the next one is seeded anew.
        place: what `place_of` said there, for data that keep their place; they go on from it by themselves.

    Yields:
        The epoch's number and a window.

    Raises:
        ValueError: when an epoch has no batch.
    """
    for e in count(epoch):
        seed_all(seed, "epoch", e)
        start = within if e == epoch else 0
        empty = start == 0  # where windows are left out, nothing may remain
        for window in _windows(batches, accumulate, seed, e, start, place if e == epoch else None):
            empty = False
            yield e, window
        if empty:
            raise ValueError(f"train gave no batch in epoch {e}; a generator can be read only once, give a list")


def _is_keyed(batches: Any) -> bool:
    return callable(getattr(batches, "epoch", None))


def _windows(
    batches: Any, accumulate: int, seed: int, epoch: int, start: int, place: Mapping[str, Any] | None
) -> Iterator[list[Any]]:
    if _is_keyed(batches):
        method = batches.epoch
        if start and "start" in inspect.signature(method).parameters:
            return windows(method(epoch, start=start * accumulate), accumulate)
        return islice(windows(method(epoch), accumulate), start, None)
    if isinstance(batches, Sequence):
        return windows(islice(batches, start * accumulate, None), accumulate)
    if place is not None and place_of(batches) is not None:
        batches.load_state_dict(place)
        return windows(_seeded(batches, accumulate, seed, epoch, start), accumulate)
    if start:
        n = length(batches)
        is_over = n is not None and start == math.ceil(n / accumulate)
        again = f"its first {start * accumulate} batches are read again and thrown away"
        what = f"train is not keyed: {f'it goes on with epoch {epoch + 1}' if is_over else again}"
        # workers that stay from epoch to epoch have drawn what no new process can know
        if_so = ", and workers do not persist" if getattr(batches, "persistent_workers", False) else ""
        rest = f"the rest is the same only if order and randomness come from torch's generators{if_so}"
        warnings.warn(f"{what}; {rest}", stacklevel=2)
        if is_over:
            return iter(())
    return islice(windows(_seeded(batches, accumulate, seed, epoch), accumulate), start, None)


def _seeded(batches: Iterable[Any], accumulate: int, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
    rest = iter(batches)  # with the first batch it draws a DataLoader's order, from (seed, "epoch", e)
    for k in count(start * accumulate):
        if k and k % accumulate == 0:
            seed_all(seed, "fetch", epoch, k // accumulate)
        try:
            batch = next(rest)
        except StopIteration:
            return
        yield batch
