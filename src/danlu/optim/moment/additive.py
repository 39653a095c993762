"""Yogi's second moment: it moves by a bounded amount, whatever its own size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.bias import corrections
from danlu.optim.formulas.infinite import bounded
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalars, Signal, Start, Tick, square
from danlu.ranges import Beta, NonNegative

__all__ = ["Additive"]


@piece(source="Zaheer et al. 2018 (Yogi), NeurIPS 31")
@dataclass(frozen=True)
class Additive(Moment):
    """v ← v − (1 − β)·sign(v − g²)·g²: an EMA of g² whose fall is as slow as its rise.

    An EMA falls by (1 − β)·v when gradients vanish, and the step grows with it; this one falls by (1 − β)·g² alone, so a
    coordinate that went quiet keeps its long memory. It never passes below 0. 4 bytes per parameter.

    Args:
        beta: 1 − β is the share of g² that v moves by.
        start: v₀.
        debias: read it divided by 1 − βᵗ, as some ports do; the paper does not.
    """

    beta: Beta
    start: NonNegative = 1e-6
    debias: bool = False

    @property
    def signal(self) -> Signal:
        """It has the unit of g²."""
        return square

    def slots(self, name: str) -> Mapping[str, Start]:
        """One slot, from `start`."""
        return {name: self.start}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """1 − β, and the bias correction with its square root."""
        return {"new": 1.0 - self.beta, **corrections(self.beta**tick.t if self.debias else 0.0)}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return v − (1 − β)·sign(v − g²)·g²."""
        x = g * g
        return {name: old[name] - (bounded(old[name]) - x).sign() * x * h["new"]}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return v with its bias correction."""
        return Reading(new[name], square, h["debias"], h["root_debias"])
