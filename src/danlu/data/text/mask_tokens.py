"""Masked tokens to be guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from danlu.data.augmentation import Augmentation, named
from danlu.ranges import Count, Fraction, Steps

__all__ = ["MaskTokens"]


@named(source="Devlin et al., 2018 (BERT), arXiv:1810.04805; DataCollatorForLanguageModeling of transformers", kind="tokens")
@final
@dataclass(frozen=True)
class MaskTokens(Augmentation):
    """A part of the tokens becomes targets; of these 80 % are replaced by the mask, 10 % by any token, 10 % stay.

    The other places have the target -100, which losses leave out and do not count. As in BERT the random token may be
    the old one or a special one. Each token is chosen for itself, so a short row may have no target at all.

    Args:
        mask: the number of the mask.
        vocabulary: how many tokens there are.
        rate: the part that is chosen; 0 leaves the tokens as they are and no target.
        special: tokens that are never chosen, such as padding, beginning and end.
    """

    dims: ClassVar[int] = 2

    mask: Steps
    vocabulary: Count
    rate: Fraction = 0.15
    special: tuple[int, ...] = ()

    def numbers(self, shape: Sequence[int]) -> int:
        """Return three per token."""
        return 3 * shape[0]

    def apply(self, batch: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets, both (N, T)."""
        pick, how, which = u.chunk(3, 1)
        chosen = pick < self.rate
        for token in self.special:
            chosen = chosen & (batch != token)
        anything = (which * self.vocabulary).long().to(batch)
        inputs = torch.where(chosen & (how < 0.9), anything, batch)
        inputs = torch.where(chosen & (how < 0.8), torch.full_like(batch, self.mask), inputs)
        return inputs, torch.where(chosen, batch, torch.full_like(batch, -100))
