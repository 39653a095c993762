"""Tokens left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from danlu.data.augmentation import Augmentation, named
from danlu.ranges import Fraction, Steps

__all__ = ["DeleteTokens"]


@named(source="Wei and Zou, 2019 (EDA), arXiv:1901.11196: random deletion", kind="tokens")
@final
@dataclass(frozen=True)
class DeleteTokens(Augmentation):
    """Each token is left out with probability p; the others close ranks to the left, padding fills the end.

    A row that would lose everything keeps one token, a uniform one, as in the authors' code. Padding is no token.

    Args:
        pad: the number of the padding.
        rate: p; 0 only moves padding to the end.
    """

    dims: ClassVar[int] = 2

    pad: Steps
    rate: Fraction = 0.1

    def numbers(self, shape: Sequence[int]) -> int:
        """Return one per token."""
        return shape[0]

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Keep what is kept, in its order."""
        if not batch.numel():
            return batch
        token = batch != self.pad
        highest = torch.where(token, u, torch.zeros_like(u)).argmax(1, keepdim=True)
        kept = (u >= self.rate).scatter(1, highest, value=True) & token
        order = (~kept).long().argsort(dim=1, stable=True)
        return torch.where(kept, batch, torch.full_like(batch, self.pad)).gather(1, order)
