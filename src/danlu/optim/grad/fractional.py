"""The gradient's fractional difference in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import GradPiece
from danlu.optim.values import Scalars, Start, Tick
from danlu.ranges import Fraction, Interval, Structural

__all__ = ["Fractional", "Length"]

Length = Annotated[int, Interval(1, 100), Structural()]


@piece(source="AdaGL, Neural Processing Letters 56 (2024), doi:10.1007/s11063-024-11571-7, equations of a public catalogue")
@dataclass(frozen=True)
class Fractional(GradPiece):
    """g ← Σⱼ cⱼ·gₜ₋ⱼ, j = 0 … length, c₀ = 1, cⱼ = cⱼ₋₁·(1 − (α + 1)/j): the Grünwald-Letnikov difference of order α.

    α = 0 is g itself, α = 1 is gₜ − gₜ₋₁; between them past gradients are subtracted with weights that fall as j^(−1−α), and
    missing ones count as 0. Where the gradients keep their mean the result is smaller than g: Σcⱼ → 0 as the memory grows. Keys
    ``past_grad_<i>``: 4 bytes per parameter for each past gradient.

    Unverified: the paper's text was not at hand, and its α is not known to us.

    Args:
        alpha: α.
        length: number of past gradients.
    """

    alpha: Fraction = 0.5
    length: Length = 10

    def slots(self) -> Mapping[str, Start]:
        """The past gradients; in step t the slot t mod length holds the oldest one, and takes the new one."""
        return {f"past_grad_{i}": 0.0 for i in range(self.length)}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """Of every slot: its weight now, and whether it takes the new gradient."""
        weights = [1.0]
        for j in range(1, self.length + 1):
            weights.append(weights[-1] * (1.0 - (self.alpha + 1.0) / j))
        numbers: dict[str, float] = {}
        for i in range(self.length):
            age = (tick.t - i - 1) % self.length + 1
            take = float(age == self.length)
            numbers |= {f"weight_{i}": weights[age], f"keep_{i}": 1.0 - take, f"take_{i}": take}
        return numbers

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the weighted sum, and put g in the place of the oldest gradient."""
        total = g
        for i in range(self.length):
            past = c.load(f"past_grad_{i}")
            total = total + past * h[f"weight_{i}"]
            c.save(f"past_grad_{i}", past * h[f"keep_{i}"] + g * h[f"take_{i}"])
        return total
