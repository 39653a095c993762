"""What the transforms by the norm of the whole gradient have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.formulas.norms import norm_squared
from danlu.optim.piece import GradPiece, Measured
from danlu.optim.values import Kept, Scalars, Tick

__all__ = ["AbstractGlobalNorm", "shrink_to"]


@dataclass(frozen=True)
class AbstractGlobalNorm(GradPiece, Measured):
    """g ← k·g, with k a function of ‖g‖₂ over all tensors of the optimizer."""

    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return Σg² of one tensor."""
        return norm_squared(c.g)

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
