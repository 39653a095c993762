"""The loss contract: a sum over items and their number; dividing is left to whoever knows all the items."""

from __future__ import annotations

import math
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

    A loss made of parts that count differently (per token and per text, per pixel and per picture) is
    total/count + Σₖ sumₖ/countₖ, each quotient taken over all items of the window. A weight belongs into the sum:
    ``parts={"kl": (beta * kl.sum(), len(kl))}``. Parts are logged by name, like measures.

    Args:
        total: the differentiable sum, a 0-d tensor.
        count: the items in it, at least 0; a sum of weights if the items are weighted.
        measures: what to log beside the loss, name → (sum, count), each with its own count; never differentiated.
        parts: further terms of the loss, name → (differentiable sum, count). Over several micro-batches or ranks all
            counts must be known before the first backward pass, which costs one more forward pass over the rest.

    Raises:
        ValueError: when total is not one number, or a name is both a measure's and a part's.
        TypeError: when total is not a tensor, or a measure or part is not a pair.
    """

    total: Tensor
    count: Count
    measures: Mapping[str, tuple[Count, Count]] = field(default_factory=dict)
    parts: Mapping[str, tuple[Tensor, Count]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.total, Tensor):
            raise TypeError(f"LossSum: total must be a tensor, the sum over the items, got {self.total!r}")
        if self.total.ndim:
            raise ValueError(f"LossSum: total must be one number, got shape {list(self.total.shape)}; use .sum()")
        if isinstance(self.count, Tensor) and self.count.ndim:
            raise ValueError(f"LossSum: count must be one number, got shape {list(self.count.shape)}; use .sum()")
        for what, named in (("measure", self.measures), ("part", self.parts)):
            for name, pair in named.items():
                if not (isinstance(pair, tuple) and len(pair) == 2):
                    raise TypeError(f"LossSum: {what} {name!r} must be a pair (sum, count), got {pair!r}")
        if both := self.measures.keys() & self.parts.keys():
            raise ValueError(f"LossSum: {min(both)!r} is a measure and a part, and both are logged by name; rename one")

    def __add__(self, other: LossSum) -> LossSum:
        measures, parts = _added(self.measures, other.measures), _added(self.parts, other.parts)
        return LossSum(self.total + other.total, self.count + other.count, measures, parts)

    @property
    def mean(self) -> Tensor:
        """The mean loss, total/count + Σ sum/count of the parts; nan when there is no item, 0 for a part without one."""
        return self.over(self)

    def over(self, whole: LossSum) -> Tensor:
        """Return what this batch contributes to the mean loss of `whole`, of which it is a share."""
        if not self.parts:
            return self.total / whole.count
        counts = {name: count for name, (_, count) in whole.parts.items()}
        shares = [(self.total, whole.count), *((total, counts[name]) for name, (total, _) in self.parts.items())]
        terms = [total / count for total, count in shares if count]
        return sum(terms[1:], terms[0]) if terms else self.total * math.nan

    def detach(self) -> LossSum:
        """Return the same numbers without the graph that made them."""
        return LossSum(self.total.detach(), _detached(self.count), _each(self.measures), _each(self.parts))


def _added(some: Mapping[str, tuple[Any, Any]], others: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    added = dict(some)
    for name, (total, count) in others.items():
        have = added.get(name, (0, 0))
        added[name] = (have[0] + total, have[1] + count)
    return added


def _each(pairs: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    return {name: (_detached(total), _detached(count)) for name, (total, count) in pairs.items()}


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
