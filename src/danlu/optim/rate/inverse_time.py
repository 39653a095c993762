"""Adagrad's own decay of the learning rate."""

from __future__ import annotations

from dataclasses import dataclass

from danlu.optim.catalog import piece
from danlu.optim.piece import Rate
from danlu.optim.values import Tick
from danlu.ranges import NonNegative

__all__ = ["InverseTime"]


@piece(source="torch.optim.Adagrad (lr_decay)")
@dataclass(frozen=True)
class InverseTime(Rate):
    """lr ← lr/(1 + (t − 1)·d), with t the tensor's own step. 0 is off.

    Args:
        decay: d, per step.
    """

    decay: NonNegative

    def factor(self, tick: Tick) -> float:
        """Return 1/(1 + (t − 1)·d)."""
        return 1.0 / (1.0 + (tick.t - 1) * self.decay)
