"""Batches of any dataset, by any number of worker processes, as a function of (seed, epoch)."""

from __future__ import annotations

import math
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from danlu.data.order import check_weights, order
from danlu.keyed import generator, key
from danlu.ranges import Interval, check, hints

__all__ = ["Loader"]

Count = Annotated[int, Interval(1, math.inf, "left")]
Index = Annotated[int, Interval(0, math.inf, "left")]

_INSTEAD = {
    "num_workers": "workers=",
    "batch_size": "batch=",
    "generator": "seed=",
    "sampler": "shuffle= or weights=",
    "batch_sampler": "batch=, shuffle= or weights=",
}


@final
class Loader:
    """A `torch.utils.data.DataLoader` whose batch b of epoch e is samples π(bB … (b+1)B − 1), π = permutation(seed, e).

    What a sample draws at random, in ``dataset[i]``, from torch's, Python's or NumPy's own generators is a function of
    (seed, epoch, i): they are seeded before each sample. So order and augmentation are the same for every number of
    workers, for every number of ranks, and after a resume, which starts at any batch without reading those before it.
    In this process the generators are put back after each batch. A generator of the dataset's own is not covered.

    It costs three seedings per sample (about 20 µs), and with workers their start in every epoch.

    Args:
        dataset: with ``len`` and ``dataset[i]``.
        batch: B, samples of a batch over all ranks; the last one has the rest.
        seed: what order and samples depend on beside the epoch.
        shuffle: False for π = identity.
        drop_last: whether to leave out a last batch with fewer samples.
        workers: processes that read; 0 reads in this one.
        rank: this process's number among `world`; it takes every world-th sample of each batch, from the rank-th on.
        world: processes that train together.
        weights: w, shape (n,): an epoch is then n draws with P(sample i) = wᵢ/Σw, such as `balancing_weights`. A sample
            that comes twice in an epoch is the same twice.
        options: more for the DataLoader, such as ``collate_fn``, ``pin_memory`` or ``prefetch_factor``. A
            ``worker_init_fn`` is called with each worker's number, after torch has seeded the worker; the dataset is
            ``get_worker_info().dataset.dataset`` there.

    Raises:
        TypeError: for a dataset that can only be iterated over, or an option of the DataLoader's that has another name here.
        ValueError: for a value out of its range, no sample, or a batch in which a rank would have no sample.
    """

    def __init__(
        self,
        dataset: Dataset[Any] | Sequence[Any],
        *,
        batch: Count,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        workers: Index = 0,
        rank: Index = 0,
        world: Count = 1,
        weights: Tensor | None = None,
        **options: Any,
    ) -> None:
        given = {"batch": batch, "shuffle": shuffle, "drop_last": drop_last, "workers": workers, "rank": rank, "world": world}
        check("Loader", hints(Loader.__init__), given)
        for name in options:
            if name in _INSTEAD:
                raise TypeError(f"Loader: takes no {name}; use {_INSTEAD[name]}")
        if isinstance(dataset, IterableDataset):
            raise TypeError("Loader: an IterableDataset has no order to key; give a dataset with len and [i]")
        self.dataset, self.rows = dataset, len(dataset)  # pyrefly: ignore[bad-argument-type]
        self.batch, self.seed, self.shuffle, self.workers, self.options = batch, seed, shuffle, workers, options
        check_weights("Loader", weights, self.rows, shuffle=shuffle)
        self.rank, self.world, self.weights = rank, world, weights
        self.batches = self.rows // batch if drop_last else math.ceil(self.rows / batch)
        smallest = batch if drop_last else min(batch, self.rows - (self.batches - 1) * batch)
        if not self.batches:
            raise ValueError(f"Loader: {self.rows} samples make no batch of {batch}; lower batch or keep the last")
        if rank >= world or smallest < world:
            what = f"rank {rank} of {world}, smallest batch {smallest}"
            raise ValueError(f"Loader: every rank needs a sample of every batch: {what}; drop_last=True, or another batch")

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Any]:
        return self.epoch(0)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """Yield the batches of one epoch.

        Args:
            epoch: its number, from 0.
            start: the first batch; those before it are not read.

        Yields:
            Batches, as the DataLoader collates them.

        Raises:
            RuntimeError: when a worker has died.
        """
        rows = order(self.rows, self.seed, epoch, shuffle=self.shuffle, weights=self.weights).tolist()
        starts = range(start * self.batch, self.batches * self.batch, self.batch)
        options = dict(self.options)
        also = options.pop("worker_init_fn", None)
        batches = DataLoader(
            _Keyed(self.dataset, self.seed, epoch),
            batch_sampler=[rows[i : i + self.batch][self.rank :: self.world] for i in starts],
            num_workers=self.workers,
            generator=generator(self.seed, "workers", epoch),  # else it draws from torch's own
            worker_init_fn=partial(_start, also),
            **options,
        )
        try:
            yield from batches
        except ConnectionError as error:  # torch watches for dead workers, but may be told by the broken pipe first
            raise RuntimeError("Loader: a worker process died while it handed over a batch") from error


@final
class _Keyed(Dataset[Any]):
    """A dataset whose samples are seeded."""

    def __init__(self, dataset: Any, seed: int, epoch: int) -> None:
        self.dataset, self.seed, self.epoch = dataset, seed, epoch

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        with _put_back():
            return [self._sample(i) for i in indices]

    def _sample(self, i: int) -> Any:
        seed = key(self.seed, "sample", self.epoch, i)
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - what datasets use
        return self.dataset[i]


@contextmanager
def _put_back() -> Iterator[None]:
    """Leave the generators of this process as they were; a worker has them for itself."""
    if get_worker_info() is not None:
        yield
        return
    saved = torch.default_generator.get_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        torch.default_generator.set_state(saved[0])
        random.setstate(saved[1])
        np.random.set_state(saved[2])  # noqa: NPY002


def _start(also: Callable[[int], None] | None, worker: int) -> None:
    """Ctrl-C goes to all processes of a terminal; the update under way still needs its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if also is not None:
        also(worker)
