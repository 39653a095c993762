"""Clipping of the whole gradient by its global norm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.norms import power_sum, shrinkage
from danlu.optim.piece import GradPiece, OfGradient
from danlu.optim.values import Reduction, Scalars, Tick
from danlu.ranges import Interval, NonNegative, Positive, Structural

__all__ = ["ClipNorm", "NormOrder"]

NormOrder = Annotated[float, Interval(1.0, math.inf), Structural()]


@piece(source="Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063; the formula of source 000")
@dataclass(frozen=True)
class ClipNorm(GradPiece, OfGradient):
    """g ← g·n/max(‖g‖ₚ, n), with the norm over all tensors of the optimizer: ‖g‖ₚ = (Σ|gᵢ|ᵖ)^(1/p).

    The direction is kept; the norm after it is at most n. Parameters without a gradient are left out. No state.

    Args:
        max_norm: the bound n, in the unit of g.
        order: p in [1, inf]; inf is the largest magnitude.
        eps: added to the norm in the quotient. 0 is source 000's (and optax's) formula; 1e-6 is
            ``torch.nn.utils.clip_grad_norm_``'s, which also clips just below the bound.
    """

    max_norm: Positive
    order: NormOrder = 2.0
    eps: NonNegative = 0.0

    clips: ClassVar[bool] = True

    @property
    def reduction(self) -> Reduction:
        """How the shares of the tensors are joined."""
        return "max" if math.isinf(self.order) else "sum"

    def joined(self, gs: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
        """Return Σ|g|ᵖ, or max|g|."""
        return power_sum(gs, self.order, dtype)

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, Tensor]:
        """Return the coefficient min(1, n/(‖g‖ₚ + eps))."""
        norm = total if math.isinf(self.order) else total ** (1.0 / self.order)
        return {"total": shrinkage(norm + self.eps, self.max_norm)}

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the gradient times the coefficient."""
        return g * h["total"]
