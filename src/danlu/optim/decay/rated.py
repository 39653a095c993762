"""What decays with one coefficient that the law reads as it is have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from danlu.optim.piece import Decay
from danlu.optim.values import Tick
from danlu.ranges import NonNegative

__all__ = ["AbstractRated"]


@dataclass(frozen=True)
class AbstractRated(Decay):
    """A decay of strength λ; 0 is off.

    Args:
        rate: λ.
    """

    rate: NonNegative

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """λ."""
        return {"rate": self.rate}
