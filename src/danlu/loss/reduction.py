"""From the losses of items to a sum and a count."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from danlu.loss.loss_sum import LossSum

__all__ = ["Reduction", "total"]


class Reduction(Protocol):
    """How the losses of a batch's items become its `LossSum`; `total` unless a loss is told otherwise."""

    def __call__(self, losses: Tensor, weights: Tensor | None) -> LossSum:
        """Return the sum and the count.

        Args:
            losses: what each item adds, (n,), its weight included; 0 for an item that is absent.
            weights: what each item counts, (n,): booleans (is it there?) or weights. None: each is one item.
        """
        ...


def total(losses: Tensor, weights: Tensor | None) -> LossSum:
    """Σᵢ ℓᵢ over Σᵢ wᵢ: the sums of batches add up to that of their union, exactly.

    Args:
        losses: ℓ, (n,), weights included.
        weights: w, (n,), or None for a count of n.

    Returns:
        The sum and the count.
    """
    return LossSum(losses.sum(), losses.numel() if weights is None else weights.sum())
