"""The sign: one bit of direction per element."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Direction
from danlu.optim.values import Scalars

__all__ = ["Sign"]


@piece(source="Bernstein et al. 2018 (signSGD), arXiv:1802.04434; Chen et al. 2023 (Lion), arXiv:2302.06675")
@dataclass(frozen=True)
class Sign(Direction):
    """u = sign(m), with sign(0) = 0: every element moves by exactly lr or not at all, whatever the gradient's scale.

    That of nan or of an infinity is nan.

    Args:
        num: name of the moment to use instead of the first one.
    """

    num: str | None = None

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return sign(m)."""
        m = c.numerator(self.num).raw
        return m.sign() + m * 0.0  # torch's sign of nan is 0, and a momentum that is lost would stay unseen
