"""A learning rate whose unit was measured once, so that lr itself is a multiplier."""

from __future__ import annotations

from dataclasses import dataclass

from danlu.optim.catalog import piece
from danlu.optim.piece import Rate
from danlu.optim.values import Tick
from danlu.ranges import Positive

__all__ = ["Calibrated"]


@piece(source="docs/furnace.md")
@dataclass(frozen=True)
class Calibrated(Rate):
    """lr ← s·lr: lr = 1 is the step that was found right for a rule once, and other values are multiples of it.

    A group's lr, a schedule and a warm-up then act as factors. What is coupled to lr (a decoupled decay) follows s·lr.

    Args:
        step: s, in what the rule counts lr in; for a relative step the relative change of a tensor in one step.
    """

    step: Positive

    def factor(self, tick: Tick) -> float:
        """Return s."""
        return self.step
