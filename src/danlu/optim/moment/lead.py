"""Dozat's lead: Nesterov's look-ahead for a bias-corrected average, with a momentum schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.moment.over import AbstractOver
from danlu.optim.values import Reading, Scalars, Tick
from danlu.ranges import Beta, Interval

__all__ = ["Lead", "MomentumDecay"]

MomentumDecay = Annotated[float, Interval(0.0, math.inf)]


@piece(source="Dozat 2016 (ICLR workshop); torch.optim.NAdam")
@dataclass(frozen=True)
class Lead(AbstractOver):
    """m read as μₜ₊₁·m/(1 − Pₜ·μₜ₊₁) + (1 − μₜ)·g/(1 − Pₜ), with μₜ = β·(1 − ½·0.96^(t·ψ)) and Pₜ = Πμᵢ.

    The recursion behind it stays what it is (plain β, not μₜ). ψ → ∞ makes μₜ = β: no schedule, the form of optax. P is a host
    number in double precision (torch keeps it in float32: 2e-10 away).

    Args:
        moment: the average that leads; without bias correction of its own.
        beta: β of the schedule.
        momentum_decay: ψ; inf switches the schedule off.
    """

    beta: Beta
    momentum_decay: MomentumDecay = 4e-3

    @property
    def exact_at_first(self) -> bool:
        """No: the gradient is weighed anew."""
        return False

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The average's numbers, and the weights of m and g in the reading."""
        product = tick.memory["mu_product"] * self._mu(tick.t)
        ahead = self._mu(tick.t + 1)
        weights = {"ahead": ahead / (1.0 - product * ahead), "now": (1.0 - self._mu(tick.t)) / (1.0 - product)}
        return {**self.moment.scalars(tick), **weights}

    def memory(self) -> Mapping[str, float]:
        """P before the first step, beside the average's own numbers."""
        return {**self.moment.memory(), "mu_product": 1.0}

    def remember(self, tick: Tick) -> Mapping[str, float]:
        """P after this step."""
        return {**self.moment.remember(tick), "mu_product": tick.memory["mu_product"] * self._mu(tick.t)}

    def _mu(self, t: int) -> float:
        return self.beta * (1.0 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return the weighted sum of the average and the gradient."""
        return Reading(self.moment.read(name, g, old, new, c, h).hat * h["ahead"] + g * h["now"])
