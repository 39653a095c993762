"""A rule's own warm-up."""

from __future__ import annotations

from dataclasses import dataclass

from danlu.optim.catalog import piece
from danlu.optim.piece import Rate
from danlu.optim.values import Tick
from danlu.ranges import Steps

__all__ = ["Warmup"]


@piece(source="Goyal et al. 2017, arXiv:1706.02677; schedule_free (warmup_steps)")
@dataclass(frozen=True)
class Warmup(Rate):
    """lr ← lr·min(1, t/W), with t the tensor's own step: full from step W on, for rules without a schedule. 0 is off.

    Args:
        steps: W.
    """

    steps: Steps

    def factor(self, tick: Tick) -> float:
        """Return min(1, t/W)."""
        return min(1.0, tick.t / self.steps) if self.steps else 1.0
