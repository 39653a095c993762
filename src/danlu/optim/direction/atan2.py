"""The angle in place of the quotient: no ε, and a bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Direction
from danlu.optim.values import Scalars, Tick
from danlu.ranges import Positive

__all__ = ["Atan2"]


@piece(source="Everett et al. 2024 (Adam-atan2), arXiv:2407.05872; lucidrains/adam-atan2-pytorch")
@dataclass(frozen=True)
class Atan2(Direction):
    """u = a·atan2(m̂, b·√v̂): invariant to the gradient's scale without ε, and |u| ≤ a·π/2.

    Where |m̂| ≪ √v̂ it is (a/b)·m̂/√v̂: with the defaults lr counts 1.27 times Adam's. a = b → ∞ is Adam without ε. Coordinates
    that never had a gradient stay, for atan2(0, 0) = 0; one whose v has been flushed to zero (|g| below some 1e-17) moves by
    the bound, 1.995·lr.

    a = 1.27 ≈ 4/π makes |u| = 1 at |m̂| = √v̂. Unverified: a and b are those of the PyTorch port, not read in the paper.

    Args:
        a: scale of the angle.
        b: weight of the magnitude; larger is closer to a quotient.
        num: name of the numerator, or None for the first moment or the gradient.
        den: name of the magnitude, or None for the first one.
    """

    a: Positive = 1.27
    b: Positive = 1.0
    num: str | None = None
    den: str | None = None

    wants_scale: ClassVar[bool] = True

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """a and b."""
        return {"a": self.a, "b": self.b}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return the scaled angle."""
        return torch.atan2(c.numerator(self.num).hat, c.denominator(self.den).root * h["b"]) * h["a"]
