"""Augmentation of small images: every one is turned, stretched, slanted and shifted a little, anew in each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from danlu.data import TensorLoader
from danlu.keyed import generator

__all__ = ["Jittered", "jitter"]


@final
class Jittered:
    """The batches of a loader of (images, labels), with jittered images; a function of (seed, epoch), as the loader is.

    Args:
        loader: gives images (N, C, H, W) first.
        background: the grey value beyond an image's edge.
        seed: what the maps depend on beside the epoch.
    """

    def __init__(self, loader: TensorLoader, *, background: float, seed: int) -> None:
        self.loader, self.background, self.seed = loader, background, seed

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of epoch number `epoch` from batch `start` on."""
        draws = generator(self.seed, "jitter", epoch)
        for _ in range(start):
            _maps(self.loader.batch, draws)  # six numbers an image: a stream is cheaper to run through than to key
        for images, *others in self.loader.epoch(epoch, start):
            yield jitter(images - self.background, draws) + self.background, *others


def jitter(images: Tensor, draws: torch.Generator, size: float = 0.1) -> Tensor:
    """x′(q) = x(A·q + b) for each image, with A = I + size·N(0, 1) and b = size·N(0, 1), interpolated bilinearly.

    Places q run from -1 to 1 over the image, so that size 0.1 shifts 8 pixels by 0.4 of one; beyond the edge x is 0.

    Args:
        images: x, shape (N, C, H, W).
        draws: draws the N·6 numbers.
        size: the standard deviation of all six; 0 gives the images as they are, to rounding.

    Returns:
        The same shape and dtype.
    """
    places = functional.affine_grid(_maps(len(images), draws, size).to(images), list(images.shape), align_corners=False)
    return functional.grid_sample(images, places, align_corners=False)


def _maps(n: int, draws: torch.Generator, size: float = 0.1) -> Tensor:
    return torch.eye(2, 3) + size * torch.randn(n, 2, 3, generator=draws)
