"""The loss contract: a sum over items and their number; dividing is left to whoever knows all the items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from torch import Tensor

__all__ = ["Count", "LossSum", "as_loss_sum"]

Count: TypeAlias = int | float | Tensor
"""How many items a sum is over; a 0-d tensor stays on its device, so that counting does not wait for it."""


@final
@dataclass(frozen=True, eq=False)
class LossSum:
    """Σᵢ ℓᵢ over `count` items. Sums add, so the mean over any union of batches is (Σ totals)/(Σ counts), exactly.

    Args:
        total: the differentiable sum, a 0-d tensor.
        count: the items in it, at least 0; a sum of weights if the items are weighted.
        measures: what to log beside the loss, name → (sum, count), each with its own count; never differentiated.

    Raises:
        ValueError: when total is not one number.
        TypeError: when total is not a tensor, or a measure is not a pair.
    """

    total: Tensor
    count: Count
    measures: Mapping[str, tuple[Count, Count]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.total, Tensor):
            raise TypeError(f"LossSum: total must be a tensor, the sum over the items, got {self.total!r}")
        if self.total.ndim:
            raise ValueError(f"LossSum: total must be one number, got shape {list(self.total.shape)}; use .sum()")
        if isinstance(self.count, Tensor) and self.count.ndim:
            raise ValueError(f"LossSum: count must be one number, got shape {list(self.count.shape)}; use .sum()")
        for name, pair in self.measures.items():
            if not (isinstance(pair, tuple) and len(pair) == 2):
                raise TypeError(f"LossSum: measure {name!r} must be a pair (sum, count), got {pair!r}")

    def __add__(self, other: LossSum) -> LossSum:
        measures = dict(self.measures)
        for name, (total, count) in other.measures.items():
            have = measures.get(name, (0, 0))
            measures[name] = (have[0] + total, have[1] + count)
        return LossSum(self.total + other.total, self.count + other.count, measures)

    @property
    def mean(self) -> Tensor:
        """The mean loss, total/count; nan when there is no item."""
        return self.total / self.count

    def detach(self) -> LossSum:
        """Return the same numbers without the graph that made them."""
        measures = {name: (_detached(total), _detached(count)) for name, (total, count) in self.measures.items()}
        return LossSum(self.total.detach(), _detached(self.count), measures)


def _detached(value: Count) -> Count:
    return value.detach() if isinstance(value, Tensor) else value


def as_loss_sum(value: Any, *, alone: bool = False) -> LossSum:
    """Read what a loss function returned.

    A bare tensor is a mean whose count is unknown: no second batch can be added to it exactly (a mean of means
    overweights the items of short and heavily masked batches). It is taken only where nothing is to be added.

    Args:
        value: a `LossSum`, a pair (sum, count), or, if `alone`, a bare mean.
        alone: whether this is the only batch of its mean; then a mean with count 1 is exact.

    Returns:
        The sum and its count.

    Raises:
        TypeError: for anything else, with what to return instead.
    """
    if isinstance(value, LossSum):
        return value
    if isinstance(value, tuple) and len(value) == 2:
        return LossSum(*value)
    if isinstance(value, Tensor) and alone:
        return LossSum(value, 1)
    if isinstance(value, Tensor):
        what = "a bare tensor, and means of batches do not add up to the mean of all items"
    else:
        what = f"{type(value).__name__}"
    fix = "return (sum over the items, their number), or a danlu.loss such as cross_entropy, which counts by itself"
    raise TypeError(f"the loss function returned {what}; {fix}")
