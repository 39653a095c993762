"""Friction: smaller steps where the gradient hardly changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Modify
from danlu.optim.values import Scalars, Start

__all__ = ["Friction", "RationalFriction"]


@piece(source="Dubey et al. 2019 (diffGrad), arXiv:1909.11015; the authors' second version")
@dataclass(frozen=True)
class Friction(Modify):
    """u ← ξ·u, ξ = 1/(1 + exp(−|gₜ₋₁ − gₜ|)) ∈ [½, 1), g₀ = 0: half the step where the gradient stands still.

    g is the gradient that the moments see, an L2 penalty included, and the previous one is that of the last step taken. It is
    kept as a copy (the authors' first version kept a reference to a buffer that is written in place, and so ξ = ½ for ever).
    4 bytes per parameter.
    """

    def slots(self) -> Mapping[str, Start]:
        """The previous gradient."""
        return {"previous_grad": 0.0}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return ξ·u."""
        change = c.load("previous_grad") - c.g
        c.save("previous_grad", c.g)
        return u * change.abs().sigmoid()


@piece(source="AdaGL, Neural Processing Letters 56 (2024), doi:10.1007/s11063-024-11571-7, equations of a public catalogue")
@dataclass(frozen=True)
class RationalFriction(Modify):
    """u ← C·u, C = 1.1 − 1/(2·(1 + |gₜ₋₁ − gₜ|)) ∈ [0.6, 1.1), g₀ = 0: `Friction` of a slower shape.

    g is the gradient as it came, before the rule's gradient transforms (AdaGL's own filters it). 4 bytes per parameter.

    Unverified: the paper's text was not at hand.
    """

    def slots(self) -> Mapping[str, Start]:
        """The previous gradient."""
        return {"previous_given": 0.0}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return C·u."""
        change = c.load("previous_given") - c.given
        c.save("previous_given", c.given)
        return u * (1.1 - 0.5 / (1.0 + change.abs()))
