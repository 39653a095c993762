"""Decay as a proximal step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Decay
from danlu.optim.values import Scalars, Tick
from danlu.ranges import NonNegative

__all__ = ["Proximal"]


@piece(source="Xie et al. 2022 (Adan), arXiv:2208.06677; Zhuang et al. 2022 (AdamW is its first order), arXiv:2202.00089")
@dataclass(frozen=True)
class Proximal(Decay):
    """p ← (p − lr·u)/(1 + lr·λ): the minimum of ‖q − (p − lr·u)‖²/(2·lr) + λ/2·‖q‖², which no lr·λ can make overshoot.

    `Decoupled` is its first order in lr·λ; beside that the step itself is shrunk too. 0 is off. No state.

    Args:
        rate: λ.
    """

    rate: NonNegative

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """lr·λ."""
        return {"amount": tick.lr * self.rate}

    def constrain(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return p/(1 + lr·λ)."""
        amount = h["amount"] if c.lr_scale is None else h["amount"] * c.lr_scale
        return p / (1.0 + amount)
