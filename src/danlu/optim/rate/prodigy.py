"""Prodigy's estimate of the distance to the solution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.rate.distance import AbstractDistance
from danlu.optim.values import Scalars, Start, Tick, itself
from danlu.ranges import Beta, Interval, Positive

__all__ = ["Growth", "Prodigy"]

Growth = Annotated[float, Interval(1.0, math.inf)]


@piece(source="Mishchenko & Defazio 2023 (Prodigy), arXiv:2306.06101; konstmish/prodigy 1.1.2")
@dataclass(frozen=True)
class Prodigy(AbstractDistance):
    """lr ← d·lr, then d ← max(d, κ·r/‖s‖₁) with r ← β·r + (d/d₀)·lr·⟨g, p₀ − p⟩ and s ← β·s + (d/d₀)·lr·g.

    d estimates ‖p₀ − p*‖∞, so lr = 1 is the right one and a schedule multiplies it. Both sums run over all tensors; groups with
    lr 0 contribute nothing. A step uses the d from before its own estimate; a moment that is to follow d is wrapped in
    ``moment.ByDistance``. Where no gradient has been seen yet, d stays (the authors skip the step; here decay goes on). 8
    bytes per parameter.

    Args:
        d0: d₀, the first d; far below the solution's distance.
        beta: β; the square root of the second moment's.
        d_coef: κ, a factor on the estimate: the knob to turn where one is wanted.
        growth_rate: largest factor of d from one step to the next.
        safeguard_warmup: leave lr out of s, so that a warm-up cannot make the estimate too large.
    """

    d0: Positive = 1e-6
    beta: Beta = 0.999**0.5
    d_coef: Positive = 1.0
    growth_rate: Growth = math.inf
    safeguard_warmup: bool = False

    def slots(self) -> Mapping[str, Start]:
        """The parameter before its first step, and s."""
        return {"p0": itself, "s": 0.0}

    def shared(self) -> Mapping[str, float]:
        """d, the d of this step, the largest estimate so far, and r."""
        return {"d": self.d0, "d_before": self.d0, "d_max": self.d0, "d_numerator": 0.0}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weights of this step in r and in s; lr holds d already."""
        d = tick.shared["d_before"]
        push = d if self.safeguard_warmup else tick.lr
        return {"keep": self.beta, "align": d / self.d0 * tick.lr, "push": d / self.d0 * push}

    def watch(self, c: Context, h: Scalars) -> None:
        """Keep p₀ and s."""
        c.save("p0", c.load("p0"))
        super().watch(c, h)

    def align(self, c: Context, h: Scalars) -> Tensor:
        """Return g·(p₀ − p)."""
        return (c.load("p0") - c.p) * c.g

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, float]:
        """Return the new d, its largest estimate, and r."""
        gain, size = total.tolist()
        d, highest = tick.shared["d"], tick.shared["d_max"]
        r = self.beta * tick.shared["d_numerator"] + gain
        estimate = self.d_coef * r / size if size else d
        if d == self.d0:  # the first estimates may jump; later ones are held by the growth rate
            d = max(d, estimate)
        highest = max(highest, estimate)
        return {"d": min(highest, d * self.growth_rate), "d_max": highest, "d_numerator": r}
