"""What the transforms by the norm of the whole gradient have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.formulas.norms import power_sum
from danlu.optim.piece import GradPiece, OfGradient
from danlu.optim.values import Kept, Scalars, Tick

__all__ = ["AbstractGlobalNorm", "shrink_to"]


@dataclass(frozen=True)
class AbstractGlobalNorm(GradPiece, OfGradient):
    """g ← k·g, with k a function of ‖g‖₂ over all tensors of the optimizer."""

    def joined(self, gs: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
        """Return Σg²."""
        return power_sum(gs, 2.0, dtype)

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, Kept]:
        """Return k as ``total``, and the numbers to keep."""
        return self.respond(float(total.sqrt()), tick)

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return k·g."""
        return g * h["total"]

    @abstractmethod
    def respond(self, norm: float, tick: Tick) -> Mapping[str, Kept]:
        """Return k for a norm as ``total``, and new values of `shared`."""


def shrink_to(norm: float, bound: float) -> float:
    """Return min(1, bound/norm), 1 for a zero gradient."""
    return bound / norm if norm > bound else 1.0
