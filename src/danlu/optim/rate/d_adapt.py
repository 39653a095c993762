"""D-Adaptation's estimate of the distance to the solution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.rate.distance import AbstractDistance
from danlu.optim.rate.prodigy import Growth
from danlu.optim.values import Scalars, Start, Tick
from danlu.ranges import Beta, Positive

__all__ = ["DAdapt"]


@piece(source="Defazio & Mishchenko 2023 (D-Adaptation, for Adam), arXiv:2301.07733; facebookresearch/dadaptation 3.2")
@dataclass(frozen=True)
class DAdapt(AbstractDistance):
    """lr ← d·lr, then d ← max(d, r/((1 − β)‖s‖₁)) with r ← β·r + (1 − β)·lr·⟨g, s/(√v + ε)⟩ and s ← β·s + (1 − β)·lr·g.

    d is a lower bound of ‖p₀ − p*‖∞ and never falls, so lr = 1 is the right one and a schedule multiplies it. In r the old s
    and v (the rule's ``exp_avg_sq``) are taken; both sums run over all tensors. A step uses the d from before its own
    estimate; the first moment that goes with it is wrapped in ``moment.ByRate``. Where no gradient has been seen yet, d stays
    (the authors skip the step; here decay goes on). 4 bytes per parameter.

    Args:
        d0: the first d; far below the solution's distance.
        beta: β; the square root of the second moment's.
        eps: ε, that of the direction.
        growth_rate: largest factor of d from one step to the next.
    """

    d0: Positive = 1e-6
    beta: Beta = 0.999**0.5
    eps: Positive = 1e-8
    growth_rate: Growth = math.inf

    wants_scale: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("exp_avg_sq",)

    def slots(self) -> Mapping[str, Start]:
        """s."""
        return {"s": 0.0}

    def shared(self) -> Mapping[str, float]:
        """d, the d of this step, and r."""
        return {"d": self.d0, "d_before": self.d0, "d_numerator": 0.0}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weights of this step in s and in r, and ε; lr holds d already."""
        return {"keep": self.beta, "push": (1.0 - self.beta) * tick.lr, "align": (1.0 - self.beta) * tick.lr, "eps": self.eps}

    def align(self, c: Context, h: Scalars) -> Tensor:
        """Return g·s/(√v + ε)."""
        return c.g * c.load("s") / (c.load("exp_avg_sq").sqrt() + h["eps"])

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, float]:
        """Return the new d, and r."""
        gain, size = total.tolist()
        d = tick.shared["d"]
        r = self.beta * tick.shared["d_numerator"] + gain
        estimate = r / ((1.0 - self.beta) * size) if size else d
        return {"d": max(d, min(estimate, d * self.growth_rate)), "d_numerator": r}
