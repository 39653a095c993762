"""Laws of single values: noise, and the scale that a network expects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from danlu.data.augmentation import Augmentation, named
from danlu.data.uniforms import normal
from danlu.ranges import NonNegative

__all__ = ["Noise", "Normalise"]


@named(source="Sietsma and Dow, 1991; Bishop, 1995")
@final
@dataclass(frozen=True)
class Noise(Augmentation):
    """x′ = x + std·N(0, 1), for each value anew; C·H·W numbers an image.

    Args:
        std: in the images' own units; 0 is off.
    """

    std: NonNegative = 0.05

    def numbers(self, shape: Sequence[int]) -> int:
        """Return as many as there are values."""
        return math.prod(shape)

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Add the noise."""
        return batch + (self.std * normal(u)).view(batch.shape).to(batch)


@named(source="LeCun et al., 1998 (Efficient BackProp), section 4.3")
@final
@dataclass(frozen=True)
class Normalise(Augmentation):
    """x′ = (x − mean)/std by channel. Nothing is drawn; it stands at the end of a chain of laws for values in [0, 1].

    Args:
        mean: one number per channel, or one for all.
        std: likewise, none 0.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(map(math.isfinite, (*self.mean, *self.std))) or not all(s > 0 for s in self.std):
            raise ValueError(f"Normalise: mean and std must be finite and std above 0, got {self.mean} and {self.std}")

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 0."""
        return 0

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Centre and scale.

        Returns:
            Images of the same shape.

        Raises:
            ValueError: when there are other channels than numbers.
        """
        if not {len(self.mean), len(self.std)} <= {1, batch.shape[1]}:
            got = f"{len(self.mean)} and {len(self.std)} for {batch.shape[1]} channels"
            raise ValueError(f"Normalise: mean and std must have one number, or one per channel, got {got}")
        mean, std = (torch.tensor(x, device=batch.device).to(batch)[:, None, None] for x in (self.mean, self.std))
        return (batch - mean) / std
