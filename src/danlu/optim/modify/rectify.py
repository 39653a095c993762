"""RAdam's rectification of the early variance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.rectification import Rectifiable, Threshold, rectification
from danlu.optim.piece import Modify
from danlu.optim.values import Scalars, Tick

__all__ = ["Rectify"]


@piece(source="Liu et al. 2019 (RAdam), arXiv:1908.03265")
@dataclass(frozen=True)
class Rectify(Modify):
    """u ← rₜ·u once ρₜ > threshold; before that u ← m̂ (or nothing), because √v̂ has too large a variance to divide by.

    ρ∞ = 2/(1 − β₂) − 1, ρₜ = ρ∞ − 2t·β₂ᵗ/(1 − β₂ᵗ), rₜ = √((ρₜ−4)(ρₜ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρₜ)); rₜ → 1. Two host numbers, no
    state. ``rate.Rectify`` is rₜ on lr, and decay with it.

    Args:
        beta2: memory of the second moment that the direction divides by.
        threshold: 5 as in torch, 4 as in the paper and source 000 (one adaptive step earlier, and one raw step fewer).
        unadapted: take m̂ as the direction below the threshold. It has the unit of g: at |g| = 10 it moves 10·lr. False takes
            no step there, the authors' own default (they also skip the decay then; here decay goes on).
    """

    beta2: Rectifiable = 0.999
    threshold: Threshold = 5.0
    unadapted: bool = True

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weights of u and of m̂: one of them is zero."""
        r = rectification(self.beta2, tick.t, self.threshold)
        return {"adapted": r or 0.0, "plain": float(r is None and self.unadapted)}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return rₜ·u or m̂, as the weights say."""
        return u * h["adapted"] + c.numerator().hat * h["plain"]
