"""The numerator as it is: SGD and its momenta."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Direction
from danlu.optim.values import Scalars

__all__ = ["Plain"]


@piece(source="Robbins & Monro 1951")
@dataclass(frozen=True)
class Plain(Direction):
    """u = m̂: the first moment, or the gradient when there is none. lr has the unit of p per unit of g.

    Args:
        num: name of the moment to use instead.
    """

    num: str | None = None

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return m̂."""
        return c.numerator(self.num).hat
