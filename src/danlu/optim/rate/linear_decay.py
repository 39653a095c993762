"""A known horizon: the learning rate falls to zero with it."""

from __future__ import annotations

from dataclasses import dataclass

from danlu.optim.catalog import piece
from danlu.optim.piece import Rate
from danlu.optim.values import Tick
from danlu.ranges import Steps

__all__ = ["LinearDecay"]


@piece(source="Defazio et al. 2023 (linear decay), arXiv:2310.07831; docs/furnace.md")
@dataclass(frozen=True)
class LinearDecay(Rate):
    """lr ← lr·max(0, 1 − (t − 1)/T), with t the tensor's own step: full at the first, 1/T at the T-th, nothing after. 0 is off.

    For rules that carry their schedule with them; a schedule of the trainer would multiply it.

    Args:
        steps: T, the updates of the whole run.
    """

    steps: Steps

    def factor(self, tick: Tick) -> float:
        """Return max(0, 1 − (t − 1)/T)."""
        return max(0.0, 1.0 - (tick.t - 1) / self.steps) if self.steps else 1.0
