"""A shape that runs several times over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from danlu.ranges import Count, check, hints
from danlu.schedule.shape import Shape

__all__ = ["Cyclic"]


@final
@dataclass(frozen=True)
class Cyclic:
    """factor(z) = shape(n·z − ⌊n·z⌋) for z < 1, and shape(1) from z = 1 on: n equal cycles, each from the top to the end.

    With `Cosine` it is SGDR without growth (Loshchilov & Hutter 2016, arXiv:1608.03983), the schedule of snapshot ensembles
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


_ROUNDING = 1e-9  # of a cycle, so that one begins where k/T is i/n
