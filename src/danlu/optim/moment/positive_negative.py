"""Positive-negative momentum: two buffers that take turns, one added and one subtracted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.bias import corrections
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalars, Start, Tick
from danlu.ranges import Beta, NonNegative

__all__ = ["PositiveNegative"]


@piece(source="Xie et al. 2021 (PNM), arXiv:2103.17182; the authors' code")
@dataclass(frozen=True)
class PositiveNegative(Moment):
    """m⁺ ← β²·m⁺ + (1 − β²)·g, read as ((1 + β₀)·m⁺ − β₀·m⁻)/√((1 + β₀)² + β₀²); m⁺ and m⁻ change places every step.

    Each buffer averages every second gradient, so the two have independent noise: their difference keeps the mean gradient and
    amplifies the noise, which PNM wants for its flat minima; the root keeps the noise's size independent of β₀. The buffer
    `name` is the positive one in odd steps. β₀ = 0 is an average of every second gradient. 8 bytes per parameter.

    Args:
        beta: β, the memory per step; each buffer's own is β² per turn.
        noise: β₀.
        debias: divide the reading by 1 − βᵗ, as AdaPNM does (at even t each buffer has seen t/2 gradients at β²: that number).
    """

    beta: Beta
    noise: NonNegative = 1.0
    debias: bool = False

    def slots(self, name: str) -> Mapping[str, Start]:
        """The two buffers."""
        return {name: 0.0, f"neg_{name}": 0.0}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """What each buffer keeps and takes in this step, and its weight in the reading: one of them rests."""
        norm = ((1.0 + self.noise) ** 2 + self.noise**2) ** 0.5
        turn, rest = {"keep": self.beta**2, "new": 1.0 - self.beta**2}, {"keep": 1.0, "new": 0.0}
        turn["weight"], rest["weight"] = (1.0 + self.noise) / norm, -self.noise / norm
        odd, even = (turn, rest) if tick.t % 2 else (rest, turn)
        debias = corrections(self.beta**tick.t if self.debias else 0.0)["debias"]
        return {**{f"odd_{k}": x for k, x in odd.items()}, **{f"even_{k}": x for k, x in even.items()}, "debias": debias}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the two buffers, one of them as it was."""
        return {
            name: old[name] * h["odd_keep"] + g * h["odd_new"],
            f"neg_{name}": old[f"neg_{name}"] * h["even_keep"] + g * h["even_new"],
        }

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return the weighted difference."""
        return Reading(new[name] * h["odd_weight"] + new[f"neg_{name}"] * h["even_weight"], debias=h["debias"])
