"""Means that weigh items by the rank of their loss: what robust averages of a batch have in common."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from danlu.loss.loss_sum import LossSum

__all__ = ["Ranked", "item_weights", "presence", "ranked_sum"]


class Ranked(Protocol):
    """A law from ranks to weights. Its mean is Σ w(r)·ℓ₍ᵣ₎/Σ w(r) over the items in the order of their losses ℓ.

    What an item adds depends on the ranks of the others, so the sums of micro-batches are NOT the sum of the batch: a
    mean of medians is not the median. `danlu.train.OverWindow` ranks the items of a whole window.
    """

    def by_rank(self, rank: Tensor, n: Tensor) -> Tensor:
        """Return the weights, up to a factor.

        Args:
            rank: 0 for the lowest loss; ranks from n on belong to nobody.
            n: the number of items, a 0-d tensor: on a GPU nobody waits for it.
        """
        ...


def item_weights(law: Ranked, losses: Tensor, present: Tensor) -> Tensor:
    """Return each item's weight, summing to the number n of items that are present; 0 for the others.

    The weights are constants to autograd. So is a rank, wherever no two losses are equal: Σ w·∇ℓ is the gradient. Equal
    losses are ranked in the order in which they stand.

    Args:
        law: from ranks to weights.
        losses: (N,).
        present: (N,), booleans.
    """
    if not losses.numel():
        return torch.zeros_like(losses)
    with torch.no_grad():
        n = present.sum().to(losses.dtype)
        order = torch.where(present, losses.detach(), torch.inf).argsort(stable=True)
        rank = torch.arange(losses.numel(), device=losses.device, dtype=losses.dtype)
        by_rank = torch.where(rank < n, law.by_rank(rank, n), 0.0)
        by_rank = by_rank * (n / by_rank.sum().clamp_min(torch.finfo(losses.dtype).tiny))  # nobody there: all are 0
        return torch.zeros_like(losses).scatter(0, order, by_rank)


def presence(owner: str, losses: Tensor, weights: Tensor | None) -> Tensor:
    """Return which items are there.

    Raises:
        ValueError: when items are weighted, as by class weights: there are no ranks of parts of items.
    """
    if weights is None:
        return torch.ones_like(losses, dtype=torch.bool)
    if weights.dtype != torch.bool:
        raise ValueError(f"{owner}: ranks whole items, and these are weighted; leave the class weights out")
    return weights


def ranked_sum(owner: str, law: Ranked, losses: Tensor, weights: Tensor | None) -> LossSum:
    """Return n times the mean by rank, and n: the mean over one batch is the mean by rank."""
    present = presence(owner, losses, weights)
    return LossSum((item_weights(law, losses, present) * losses).sum(), present.sum())
