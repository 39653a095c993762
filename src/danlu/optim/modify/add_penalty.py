"""A penalty on the direction: after the denominator, before what comes next."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Decay, Modify
from danlu.optim.values import Scalars

__all__ = ["AddPenalty"]


@piece(source="You et al. 2019 (LAMB), arXiv:1904.00962, algorithm 2")
@dataclass(frozen=True)
class AddPenalty(Modify):
    """u ← u + ∇R(p): a coupled decay that joins the direction instead of the gradient, so that later pieces see the sum.

    With ``decay.L2`` alone it is decoupled decay, −lr·(u + λp); before a `TrustRatio` it is LAMB's. No state.

    Args:
        penalty: a decay that acts through the gradient, such as ``decay.L2(0.01)``; others add nothing.
    """

    penalty: Decay

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return u + ∇R(p)."""
        return self.penalty.penalty(u, c, h)
