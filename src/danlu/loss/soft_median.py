"""The soft median of the items' losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from danlu.loss.loss_sum import LossSum
from danlu.loss.ranked import ranked_sum
from danlu.loss.registry import named
from danlu.ranges import Positive, check, hints

__all__ = ["SoftMedian"]


@named(source="source 003's sketch, repaired", kind="reduction", coupled=True)
@final
@dataclass(frozen=True)
class SoftMedian:
    """w(r) ∝ exp(−|r − (n − 1)/2|/(τ·n)), r = 0 … n − 1 by rank of the loss: a mean that prefers the middle.

    A reduction, for the `reduce` of a loss. τ → 0 is the median (of an even number: the mean of the two in the
    middle), τ → ∞ the mean. It lies between the least and the largest loss, moves with a constant added to all and
    scales with them. At the default an item at either end counts exp(−5) = 0.7 % of one in the middle, whatever n is.

    COUPLES the items of a batch: the sum over micro-batches is n-weighted means of medians, not the median of their
    union. Under accumulation use `danlu.train.OverWindow`. And it ignores rare, hard items on purpose: it suits noisy
    labels and harms long tails.

    Departs from the sketch, which appends a loss of 0 to an even number of items (at n = 2 that is about half of the
    mean), takes the temperature from the losses' own spread although it divides ranks (so doubling all losses does not
    double the result), and is nan-ridden at n = 1. `TrimmedMean` and `WinsorizedMean` are the well-studied relatives.

    Args:
        tau: τ, the temperature as a share of the items; 0.1 is our choice, no study's.
    """

    tau: Positive = 0.1

    def __post_init__(self) -> None:
        check("SoftMedian", _RANGES, vars(self))

    def by_rank(self, rank: Tensor, n: Tensor) -> Tensor:
        """Return exp(−distance from the middle/(τ·n)), 1 at the middle."""
        distance = (rank - (n - 1) / 2).abs()
        return ((distance.min() - distance) / (self.tau * n)).exp()  # minus the least one: no underflow at small τ

    def __call__(self, losses: Tensor, weights: Tensor | None) -> LossSum:
        """Return n times the soft median, and n."""
        return ranked_sum("SoftMedian", self, losses, weights)


_RANGES = hints(SoftMedian)  # once, here: torch.compile cannot trace how they are found
