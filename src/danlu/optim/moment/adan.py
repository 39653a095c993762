"""Adan's three averages: of the gradient, of its change, and of the square of the gradient carried on by its change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.bias import corrections
from danlu.optim.formulas.flush import flushed
from danlu.optim.formulas.infinite import bounded
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalars, Signal, Start, Tick, square
from danlu.ranges import Beta

__all__ = ["Adan"]


@piece(source="Xie et al. 2022 (Adan), arXiv:2208.06677; the authors' code, timm, optimi")
@dataclass(frozen=True)
class Adan(Moment):
    """m ← EMA(g), d̄ ← EMA(d), n ← EMA((g + β₂·d)²) with dₜ = gₜ − gₜ₋₁, d₁ = 0, read as m̂ + β₂·d̄̂ over the magnitude n̂.

    Nesterov's look-ahead without evaluating at another point: d stands for what the gradient would be there. One piece feeds
    both sides of a ratio, so that the previous gradient is kept once. State keys: `name`, ``<name>_diff``, ``<name>_sq``,
    ``previous_<name>``: 16 bytes per parameter.

    β counts the past, as everywhere here; the paper's β is our 1 − β, and mixing the two conventions scales d̄ wrongly (optax
    0.2.8 does).

    Args:
        betas: memories of m, d̄ and n.
    """

    betas: tuple[Beta, Beta, Beta] = (0.98, 0.92, 0.99)

    @property
    def signal(self) -> Signal:
        """It brings its own magnitude."""
        return square

    def magnitudes(self, name: str) -> frozenset[str]:
        """The averaged square."""
        return frozenset({f"{name}_sq"})

    def slots(self, name: str) -> Mapping[str, Start]:
        """The three averages and the previous gradient."""
        return {name: 0.0, f"{name}_diff": 0.0, f"{name}_sq": 0.0, f"previous_{name}": 0.0}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The three weights, β₂, the bias corrections, and whether there is a previous gradient."""
        weights = {f"new_{i}": 1.0 - beta for i, beta in enumerate(self.betas)}
        first, drift, second = (corrections(beta**tick.t) for beta in self.betas)
        debias = {"debias_0": first["debias"], "debias_1": drift["debias"], "debias_2": second["debias"]}
        last = {"ahead": self.betas[1], "moved": float(tick.t > 1), "root_debias": second["root_debias"]}
        return {**weights, **debias, **last}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return m, d̄, n and g."""
        m, drift, n = old[name], old[f"{name}_diff"], old[f"{name}_sq"]
        d = (g - old[f"previous_{name}"]) * h["moved"]
        ahead = g + d * h["ahead"]
        n = n + (ahead * ahead - bounded(n)) * h["new_2"]
        return {
            name: m + (g - m) * h["new_0"],
            f"{name}_diff": drift + (d - drift) * h["new_1"],
            f"{name}_sq": flushed(n),
            f"previous_{name}": g,
        }

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return m̂ + β₂·d̄̂, and lay n beside it as a reading of its own."""
        c.readings[f"{name}_sq"] = Reading(new[f"{name}_sq"], square, h["debias_2"], h["root_debias"])
        return Reading(new[name] * h["debias_0"] + new[f"{name}_diff"] * h["debias_1"] * h["ahead"])
