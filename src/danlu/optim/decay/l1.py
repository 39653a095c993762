"""The L1 penalty: through the gradient, or as a soft threshold after the step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.decay.rated import AbstractRated
from danlu.optim.values import Scalars

__all__ = ["L1", "ProximalL1"]


@piece(source="Tibshirani 1996; common practice")
@dataclass(frozen=True)
class L1(AbstractRated):
    """g ← g + λ·sign(p), sign(0) = 0: a subgradient of λ·Σ|p|, before the moments.

    It steps back and forth around zero and never stays there: `ProximalL1` gives exact zeros. Under an adaptive denominator
    the pull is divided by it. No state. 0 is off.

    Args:
        rate: λ.
    """

    def penalty(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return g + λ·sign(p)."""
        return g + c.p.sign() * h["rate"]


@piece(source="Daubechies, Defrise, De Mol 2004; Beck & Teboulle 2009 (ISTA)")
@dataclass(frozen=True)
class ProximalL1(AbstractRated):
    """p ← sign(p)·max(|p| − lr·λ, 0) after the step: the soft threshold, which makes exact zeros and keeps them.

    Decoupled: under an adaptive rule the threshold is lr·λ as well, not divided by the denominator. No state. 0 is off.

    Args:
        rate: λ.
    """

    def constrain(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the new parameter, thresholded."""
        return p.sign() * (p.abs() - c.lr * h["rate"]).clamp_min(0.0)
