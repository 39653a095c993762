"""Other people's transforms, such as torchvision's, with keyed randomness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from danlu.data.augmentation import Augmentation

__all__ = ["Foreign"]


@final
@dataclass(frozen=True)
class Foreign(Augmentation):
    """x′ᵢ = transform(xᵢ), torch's CPU generator seeded with 62 bits of uᵢ before and put back after the batch.

    For ``torchvision.transforms.v2`` and whatever else draws from that generator. The transform is called image by
    image, as one call on a batch would treat all images alike; that costs its time per image, in Python. A transform
    that draws from Python's or NumPy's generators belongs into a data set read by `danlu.data.Loader`, which seeds those too.

    Args:
        transform: takes and returns an image (C, H, W); all results must have one shape.
    """

    transform: Callable[[Tensor], Tensor]

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 3."""
        return 3

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Transform the images one by one."""
        words = (u.double() * 2**23).long().tolist()
        with torch.random.fork_rng(devices=[]):
            return torch.stack([self._one(image, key) for image, key in zip(batch, words, strict=True)])

    def _one(self, image: Tensor, key: list[int]) -> Tensor:
        torch.default_generator.manual_seed(key[0] << 39 | key[1] << 16 | key[2] >> 7)
        return self.transform(image)
