"""Batches from tensors in memory, in an order that is a pure function of (seed, epoch)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, final

from torch import Tensor

from danlu.data.order import check_weights, order
from danlu.ranges import Interval, check, hints

__all__ = ["TensorLoader"]


@final
class TensorLoader:
    """Cuts tensors of n rows into batches: rows π(0…b−1), π(b…2b−1), …, with π = permutation(seed, epoch).

    It has no state: ``loader.epoch(3)`` is the same batches whenever it is called, after a resume or in another
    process. So ``for batch in loader`` is ``loader.epoch(0)`` each time; a hand-written loop that wants a new order
    in each epoch asks for ``loader.epoch(e)``, as the Trainer does. An epoch costs one gather per batch; unshuffled
    batches are views.

    Args:
        *tensors: at least one; all have the same length n ≥ 1 in their first dimension. They may live on any device.
        batch: rows of a batch; the last one has the remaining rows.
        seed: what π depends on beside the epoch.
        shuffle: False for π = identity.
        drop_last: whether to leave out a last batch with fewer rows.
        weights: w, shape (n,): an epoch is then n draws with P(row i) = wᵢ/Σw, such as `balancing_weights`.

    Raises:
        ValueError: on no or empty data, unequal lengths, batch < 1, when drop_last leaves no batch, or on weights that
            are not n finite numbers ≥ 0 with a sum above 0.
    """

    def __init__(
        self,
        *tensors: Tensor,
        batch: Annotated[int, Interval(1, math.inf, "left")],
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        weights: Tensor | None = None,
    ) -> None:
        given = {"batch": batch, "shuffle": shuffle, "drop_last": drop_last}
        check("TensorLoader", hints(TensorLoader.__init__), given)
        lengths = [len(t) if t.ndim else 0 for t in tensors]
        if not lengths or 0 in lengths:
            raise ValueError(f"TensorLoader: needs tensors with at least one row, got lengths {lengths}")
        if len(set(lengths)) > 1:
            raise ValueError(f"TensorLoader: the tensors must have one length, got {lengths}; rows belong together")
        if drop_last and lengths[0] < batch:
            rows = f"{lengths[0]} rows and batch={batch}"
            raise ValueError(f"TensorLoader: drop_last leaves no batch of {rows}; lower batch or keep the last")
        self.tensors, self.rows = tensors, lengths[0]
        check_weights("TensorLoader", weights, self.rows, shuffle=shuffle)
        self.batch, self.seed, self.shuffle, self.drop_last, self.weights = batch, seed, shuffle, drop_last, weights

    def __len__(self) -> int:
        full, rest = divmod(self.rows, self.batch)
        return full if self.drop_last or not rest else full + 1

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return self.epoch(0)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of one epoch.

        Args:
            epoch: its number, from 0.
            start: the first batch; those before it are not made.

        Yields:
            One tuple per batch, with as many tensors as were given.
        """
        plain = not self.shuffle  # then batches are views
        rows = order(self.rows, self.seed, epoch, shuffle=self.shuffle, weights=self.weights)
        for first in range(start * self.batch, len(self) * self.batch, self.batch):
            part = slice(first, first + self.batch)
            yield tuple(t[part] if plain else t[rows[part]] for t in self.tensors)
