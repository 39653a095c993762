"""Batches whose images are augmented, each as a function of (seed, epoch, its place in the data)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from torch import Tensor

from danlu.data.augmentation import Augmentation
from danlu.data.order import order, times_before
from danlu.data.tensor_loader import TensorLoader
from danlu.keyed import key

__all__ = ["Augmented"]


@final
class Augmented:
    """The batches of a loader of (images, …), with augmented images.

    What becomes of a sample depends on (seed, epoch, its row in the data) and on nothing else: not on the batch that it
    is in, nor on where an epoch is begun. One that comes more than once in an epoch, as with `weights`, is another each
    time. For the same in worker processes, give the augmentation as a transform to a
    data set that is read by `danlu.data.Loader`.

    Args:
        loader: gives images (N, C, H, W), or tokens (N, T), first.
        augmentation: of the first tensor; what it returns stands in its place.
        seed: what the augmentation depends on beside epoch and row.
    """

    def __init__(self, loader: TensorLoader, augmentation: Augmentation, *, seed: int = 0) -> None:
        self.loader, self.augmentation, self.seed = loader, augmentation, seed

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return self.epoch(0)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of one epoch.

        Args:
            epoch: its number, from 0.
            start: the first batch; those before it are not made.

        Yields:
            One tuple per batch.
        """
        own, seed = self.loader, key(self.seed, "augment", epoch)
        rows = order(own.rows, own.seed, epoch, shuffle=own.shuffle, weights=own.weights)
        which = (rows + own.rows * times_before(rows)).split(own.batch)
        for (images, *others), places in zip(own.epoch(epoch, start), which[start:], strict=False):  # drop_last drops one
            found = self.augmentation.keyed(images, seed, places)
            yield (*found, *others) if isinstance(found, tuple) else (found, *others)
