"""Trimmed and winsorized means of the items' losses: without the extremes, or with the extremes cut down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from danlu.loss.loss_sum import LossSum
from danlu.loss.ranked import ranked_sum
from danlu.loss.registry import named
from danlu.ranges import Fraction, check, hints

__all__ = ["TrimmedMean", "WinsorizedMean"]

_SOURCE = "Huber, Robust Statistics, 1981, section 3.3; scipy.stats.mstats.{}"


@named(source=_SOURCE.format("trimmed_mean"), kind="reduction", coupled=True)
@final
@dataclass(frozen=True)
class TrimmedMean:
    """The mean of the items without ⌊a·n⌋ of the lowest and ⌊b·n⌋ of the highest losses.

    A reduction, for the `reduce` of a loss. What is left out has no gradient. low = 0 trains on the items of small
    loss, against wrong labels; low = high is the sports judges' rule of source 003. At n < 1/b nothing is trimmed.

    COUPLES the items of a batch: micro-batches trim each its own. Under accumulation use `danlu.train.OverWindow`.

    Args:
        low: a.
        high: b; a + b must be below 1.

    Raises:
        ValueError: when nothing could be left, or a share is not in [0, 1].
    """

    low: Fraction = 0.0
    high: Fraction = 0.1

    def __post_init__(self) -> None:
        _check("TrimmedMean", self)

    def by_rank(self, rank: Tensor, n: Tensor) -> Tensor:
        """Return 1 for what is kept."""
        first, end = _kept(self, n)
        return ((rank >= first) & (rank < end)).to(rank.dtype)

    def __call__(self, losses: Tensor, weights: Tensor | None) -> LossSum:
        """Return n times the trimmed mean, and n."""
        return ranked_sum("TrimmedMean", self, losses, weights)


@named(source=_SOURCE.format("winsorize"), kind="reduction", coupled=True)
@final
@dataclass(frozen=True)
class WinsorizedMean:
    """The mean of all n items, with ⌊a·n⌋ lowest losses raised and ⌊b·n⌋ highest ones lowered to the nearest kept one.

    A reduction, for the `reduce` of a loss. The kept items at the edges count for those beyond them, so only theirs
    and the gradients of what lies between enter: one hard item at the edge may carry as much as all others together. For
    training, `TrimmedMean` is usually the better of the two.

    COUPLES the items of a batch: micro-batches cut each at its own edges. Under accumulation use
    `danlu.train.OverWindow`.

    Args:
        low: a.
        high: b; a + b must be below 1.

    Raises:
        ValueError: when nothing could be left, or a share is not in [0, 1].
    """

    low: Fraction = 0.0
    high: Fraction = 0.1

    def __post_init__(self) -> None:
        _check("WinsorizedMean", self)

    def by_rank(self, rank: Tensor, n: Tensor) -> Tensor:
        """Return 1 for what is kept, and more at the edges."""
        first, end = _kept(self, n)
        kept = ((rank >= first) & (rank < end)).to(rank.dtype)
        return kept + first * (rank == first) + (n - end) * (rank == end - 1)

    def __call__(self, losses: Tensor, weights: Tensor | None) -> LossSum:
        """Return n times the winsorized mean, and n."""
        return ranked_sum("WinsorizedMean", self, losses, weights)


def _kept(shares: TrimmedMean | WinsorizedMean, n: Tensor) -> tuple[Tensor, Tensor]:
    """The first rank that is kept, and the first beyond."""
    # 29 % of 100 is 28.999… in binary, and 29 items are meant
    low, high = ((x * n + 1e-5).floor() for x in (shares.low, shares.high))
    return low, n - high


def _check(owner: str, shares: TrimmedMean | WinsorizedMean) -> None:
    check(owner, _RANGES, vars(shares))
    if not shares.low + shares.high < 1:
        raise ValueError(f"{owner}: low + high must be below 1, or nothing is left; got {shares.low} and {shares.high}")


_RANGES = hints(TrimmedMean)  # once, here: torch.compile cannot trace how they are found
