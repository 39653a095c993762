"""Adafactor's own schedule of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from danlu.optim.catalog import piece
from danlu.optim.piece import Rate
from danlu.optim.values import Tick

__all__ = ["RelativeStep"]


@piece(source="Shazeer & Stern 2018 (Adafactor), arXiv:1804.04235; torch.optim.Adafactor; transformers for the warm-up")
@dataclass(frozen=True)
class RelativeStep(Rate):
    """lr ← min(lr, 1/√t), with t the tensor's own step: lr is a cap (the paper's is 0.01), reached until t = 1/lr².

    Args:
        warmup_init: also at most 1e-6·t, the ramp of the paper's experiments; it crosses 1/√t at t = 10⁴.
    """

    warmup_init: bool = False

    def factor(self, tick: Tick) -> float:
        """Return what makes lr the smallest of the bounds."""
        bound = min(1.0 / math.sqrt(tick.t), 1e-6 * tick.t if self.warmup_init else math.inf)
        return min(1.0, bound / tick.lr) if tick.lr else 1.0
