"""A penalty before the gradient transforms that follow."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Decay, GradPiece
from danlu.optim.values import Scalars

__all__ = ["AddPenalty"]


@piece(source="Yong et al. 2020 (Gradient Centralization), the authors' SGD")
@dataclass(frozen=True)
class AddPenalty(GradPiece):
    """g ← g + ∇R(p) before the next transform; a rule's own `decay` adds its penalty after all of them.

    So the decay is centralised, clipped or normalised along with the gradient. No state.

    Args:
        penalty: a decay that acts through the gradient, such as ``decay.L2(0.01)``; others add nothing.
    """

    penalty: Decay

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return g + ∇R(p)."""
        return self.penalty.penalty(g, c, h)
