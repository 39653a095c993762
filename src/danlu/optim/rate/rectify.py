"""RAdam's rectification of the early variance, on the learning rate."""

from __future__ import annotations

from dataclasses import dataclass

from danlu.optim.catalog import piece
from danlu.optim.formulas.rectification import Rectifiable, Threshold, rectification
from danlu.optim.piece import Rate
from danlu.optim.values import Tick

__all__ = ["Rectify"]


@piece(source="Liu et al. 2019 (RAdam), arXiv:1908.03265; facebookresearch/schedule_free (RAdamScheduleFree)")
@dataclass(frozen=True)
class Rectify(Rate):
    """lr ← rₜ·lr once ρₜ > threshold, lr ← 0 before: a warm-up with nothing to set, and no step while √v̂ varies too much.

    ``modify.Rectify`` has the formula, on the direction; here a decoupled decay and an average weighted by lr follow. No state.

    Args:
        beta2: memory of the second moment that the direction divides by.
        threshold: 4 as in the paper and the authors' schedule-free class, 5 as in torch.
    """

    beta2: Rectifiable = 0.999
    threshold: Threshold = 4.0

    def factor(self, tick: Tick) -> float:
        """Return rₜ or 0."""
        return rectification(self.beta2, tick.t, self.threshold) or 0.0
