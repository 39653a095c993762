"""Gradient ascent."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import GradPiece
from danlu.optim.values import Scalars

__all__ = ["Negate"]


@piece(source="torch.optim (maximize)")
@dataclass(frozen=True)
class Negate(GradPiece):
    """g ← −g: the rule climbs instead of descending. First in the chain, so that weight decay still pulls to zero."""

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return −g."""
        return -g
