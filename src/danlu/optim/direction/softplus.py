"""A smooth floor under the root of the second moment, in place of ε."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Direction
from danlu.optim.values import Scalars, Signal, Tick
from danlu.ranges import Positive

__all__ = ["Softplus"]


@piece(source="Tong, Liang, Bi 2019 (SAdam), arXiv:1908.00700; neilliang90/Sadam")
@dataclass(frozen=True)
class Softplus(Direction):
    """u = m̂·√(1 − β₂ᵗ)/softplusₖ(√v), softplusₖ(x) = log(1 + exp(k·x))/k.

    The floor is log(2)/k: with k = 50 no coordinate's gain exceeds 72, and where |g| ≪ 1/k the rule is SGD with 72·lr. k has
    the unit of 1/g, so rescaling the loss changes the rule. v enters without its bias correction, which stands outside.

    It is computed as x + log(1 + exp(−k·x))/k, which cannot overflow; torch's own softplus drops the second term above k·x = 20
    (4e-11 at k = 50). Source 003 prints no k; k = 1 would put the floor at 0.69.

    Args:
        smooth: k.
        num: name of the numerator, or None for the first moment or the gradient.
        den: name of the magnitude, or None for the first one.
    """

    smooth: Positive = 50.0
    num: str | None = None
    den: str | None = None

    wants_scale: ClassVar[bool] = True

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """k and 1/k: a kernel divides at every element."""
        return {"smooth": self.smooth, "unit": 1.0 / self.smooth}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return m̂ over the smoothly floored magnitude."""
        v = c.denominator(self.den)
        squared = v.of is Signal.SQUARE
        x = v.raw.sqrt() if squared else v.raw
        # Not log1p: rounding 1 + exp costs half an ulp of 1 beside a sum, in units of 1/k, of at least log(2), and a kernel's
        # log1p takes up to twice as long (it squares the exponential into denormals).
        floored = x + torch.log(1 + torch.exp(-x * h["smooth"])) * h["unit"]
        return c.numerator(self.num).hat / (floored * (v.root_debias if squared else v.debias))
