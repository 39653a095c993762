"""Tokens that change places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from danlu.data.augmentation import Augmentation, named
from danlu.ranges import Fraction, Steps

__all__ = ["SwapTokens"]


@named(source="Wei and Zou, 2019 (EDA), arXiv:1901.11196: random swap", kind="tokens")
@final
@dataclass(frozen=True)
class SwapTokens(Augmentation):
    """⌈rate·L⌉ times in a row, two different tokens of a row of L change places.

    Padding is no token and stays where it is. Departs from the paper's max(1, ⌊rate·L⌋), so that rate 0 is off.

    Args:
        pad: the number of the padding.
        rate: swaps per token.
    """

    dims: ClassVar[int] = 2

    pad: Steps
    rate: Fraction = 0.1

    def numbers(self, shape: Sequence[int]) -> int:
        """Return two per swap."""
        return 2 * math.ceil(self.rate * shape[0])

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Swap, one pair in all rows at a time."""
        token = batch != self.pad
        length = token.sum(1, keepdim=True)
        places = (~token).long().argsort(dim=1, stable=True)  # those of the tokens first
        swaps = torch.where(length > 1, (self.rate * length).ceil(), 0)
        order = torch.arange(batch.shape[1], device=batch.device).repeat(len(batch), 1)
        for k in range(u.shape[1] // 2):
            first = (u[:, 2 * k, None] * length).long()
            second = (u[:, 2 * k + 1, None] * (length - 1)).long()
            second = second + (second >= first).long()  # any of the others
            last = batch.shape[1] - 1
            a, b = places.gather(1, first.clamp(0, last)), places.gather(1, second.clamp(0, last))
            swapped = order.scatter(1, a, order.gather(1, b)).scatter(1, b, order.gather(1, a))
            order = torch.where(k < swaps, swapped, order)
        return batch.gather(1, order)
