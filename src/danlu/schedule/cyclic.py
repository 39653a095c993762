"""Shapes that run several times over."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, final

from danlu.ranges import Count, Fraction, Interval, Ratio, check, hints
from danlu.schedule.shape import Cosine, Shape

__all__ = ["Cyclic", "Restarts"]

Growth = Annotated[float, Interval(1.0, 10.0)]


@final
@dataclass(frozen=True)
class Cyclic:
    """factor(z) = shape(n·z − ⌊n·z⌋) for z < 1, and shape(1) from z = 1 on: n equal cycles, each from the top to the end.

    With `Cosine` it is `Restarts` of equal cycles, the schedule of snapshot ensembles
    (Huang et al. 2017, arXiv:1704.00109).

    Args:
        shape: of one cycle.
        cycles: n; 1 is the shape itself.

    Raises:
        ValueError: when n is out of its range.
    """

    shape: Shape
    cycles: Count

    def __post_init__(self) -> None:
        check("cyclic", hints(Cyclic), {"cycles": self.cycles})

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        if not 0.0 <= z < 1.0:  # the shape knows what to say of a nan
            return self.shape(z)
        turns = self.cycles * z
        return self.shape(max(0.0, turns - math.floor(turns + _ROUNDING)))


@final
@dataclass(frozen=True)
class Restarts:
    """SGDR: n cycles, each m times as long as the one before; cycle i falls from dⁱ to `floor` along half a wave of the cosine.

    factor = floor + (dⁱ − floor)·½·(1 + cos πq), q the progress inside cycle i = 0 … n − 1, for which dⁱ is at least `floor`.
    The cycles fill the run after the warm-up: the first has the share (m − 1)/(mⁿ − 1) of it, or 1/n. At the end it stays at
    `floor`, where torch and timm begin another cycle.

    Source: Loshchilov and Hutter 2016 (arXiv:1608.03983); the falling peaks are timm's.

    Args:
        cycles: n.
        growth: m, torch's ``T_mult``.
        decay: d, what is left of the peak from one cycle to the next.
        floor: lr_min/lr_max.
    """

    cycles: Count = 3
    growth: Growth = 2.0
    decay: Ratio = 1.0
    floor: Fraction = 0.0

    def __post_init__(self) -> None:
        check("restarts", hints(Restarts), vars(self))

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        if not 0.0 <= z < 1.0:
            return Cosine(self.floor)(z)
        # the last length is 1, so that none is beyond all numbers
        lengths = [self.growth ** (i + 1 - self.cycles) for i in range(self.cycles)]
        starts = [0.0, *accumulate(lengths)]
        at = z * starts[-1]
        i = bisect_right(starts, at + _ROUNDING) - 1
        peak = max(self.decay**i, self.floor)
        return self.floor + (peak - self.floor) * Cosine()(max(0.0, at - starts[i]) / lengths[i])


_ROUNDING = 1e-9  # of a cycle, so that one begins where k/T is i/n
