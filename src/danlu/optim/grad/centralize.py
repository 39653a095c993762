"""Gradient centralisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import GradPiece
from danlu.optim.values import Scalars, Scope, Sight

__all__ = ["Centralize"]


@piece(source="Yong et al. 2020 (Gradient Centralization), arXiv:2004.01461; the authors' SGD")
@dataclass(frozen=True)
class Centralize(GradPiece):
    """gₒ ← gₒ − mean(gₒ) over everything but the output side, for tensors of 2 sides and more: GC.

    Under plain SGD every row of the weights keeps its mean. Scalars and vectors pass unchanged. Leave embedding tables out:
    a mean over features has no such meaning there. The authors add L2 before it: `AddPenalty` in front. No state.

    Args:
        conv_only: only tensors of 4 sides and more: GCC.
    """

    conv_only: bool = False

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Rows against the rest; GCC also how many sides there are."""
        return "axes" if self.conv_only else "rows"

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the gradient with rows of mean 0."""
        if g.ndim <= (3 if self.conv_only else 1):
            return g
        return g - g.mean(dim=tuple(range(1, g.ndim)), keepdim=True)
