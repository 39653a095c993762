"""The distance of the gradient from its own average: what AdaBelief distrusts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.moment.over import AbstractOver
from danlu.optim.values import Scalars

__all__ = ["Deviation"]


@piece(source="Zhuang et al. 2020 (AdaBelief), arXiv:2010.07468")
@dataclass(frozen=True)
class Deviation(AbstractOver):
    """s = the moment of (g − m), with m the first moment as this step has just made it.

    It is small where the gradient is as expected. At the first step g − m = β₁·g, so a ratio over it is 1/β₁ times Adam's. A
    gradient that never changes drives s to zero: put `Lifted` around it. The first moment must stand before this one in the
    rule. No memory beyond the moment's own.

    Args:
        moment: the recursion, such as ``Ema(0.999, square)``.
        mean: name of m, or None for the first signed moment.

    Raises:
        ValueError: for a moment that has signs.
    """

    mean: str | None = None

    magnitude: ClassVar[bool] = True

    @property
    def exact_at_first(self) -> bool:
        """No: it holds the gradient about the moment."""
        return False

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the moment's new state, fed g − m."""
        return self.moment.update(name, g - c.numerator(self.mean).raw, old, c, h)
