"""Stable weight decay: the decay keeps its proportion to the gradient step while gradients shrink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.decay.decoupled import AbstractShrink
from danlu.optim.piece import Measured
from danlu.optim.values import Scalars, Signal, Tick
from danlu.ranges import NonNegative

__all__ = ["Stable"]


@piece(source="Xie et al. 2020 (Stable Weight Decay), arXiv:2011.11152; the authors' AdamS")
@dataclass(frozen=True)
class Stable(AbstractShrink, Measured):
    """p ← (1 − lr·λ/(√v̄ + ε))·p, v̄ the mean of v̂ over ALL elements of all tensors: one number per step, not one per layer.

    √v̄ has the unit of the gradient, so λ is that of SGD's L2, about 5e-4. While v̄ = 0 nothing decays; a step never removes
    more than the whole parameter. The authors have no ε. For SGD the same idea is a constant: see the preset ``sgds``. No
    state beside the second moment; one sum over all tensors per step. 0 is off.

    Args:
        rate: λ.
        eps: ε.
    """

    rate: NonNegative
    eps: NonNegative = 1e-8

    wants_scale: ClassVar[bool] = True
    settles: ClassVar[tuple[str, ...]] = ("amount", "keep")

    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return Σv̂ and the number of elements."""
        v = c.denominator()
        square = v.hat if v.of is Signal.SQUARE else v.hat * v.hat
        total = square.sum(dtype=torch.float64)
        return torch.stack([total, torch.full_like(total, square.numel())])

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, Tensor]:
        """Return the shrink of this step and its complement."""
        mean = total[0] / total[1]
        amount = torch.where(mean > 0, tick.lr * self.rate / (mean.sqrt() + self.eps), 0.0).clamp_max(1.0)
        return {"amount": amount, "keep": 1.0 - amount}
