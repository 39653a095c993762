"""Mirror images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from danlu.data.augmentation import Augmentation, named
from danlu.ranges import Fraction

__all__ = ["Flip", "UpsideDown"]


@named(source="Krizhevsky et al., 2012 (AlexNet); torchvision RandomHorizontalFlip")
@final
@dataclass(frozen=True)
class Flip(Augmentation):
    """x′(i, j) = x(i, W − 1 − j) with probability p: left and right change places.

    Wrong where the sides mean something: digits, letters, traffic signs.

    Args:
        probability: p; 0 is off.
    """

    probability: Fraction = 0.5

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 1."""
        return 1

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Mirror the chosen ones."""
        return _mirrored(batch, u, self.probability, -1)


@named(source="torchvision RandomVerticalFlip")
@final
@dataclass(frozen=True)
class UpsideDown(Augmentation):
    """x′(i, j) = x(H − 1 − i, j) with probability p: top and bottom change places; for pictures taken from above.

    Args:
        probability: p; 0 is off.
    """

    probability: Fraction = 0.5

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 1."""
        return 1

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Mirror the chosen ones."""
        return _mirrored(batch, u, self.probability, -2)


def _mirrored(images: Tensor, u: Tensor, probability: float, axis: int) -> Tensor:
    return torch.where(u[:, 0, None, None, None] < probability, images.flip(axis), images)
