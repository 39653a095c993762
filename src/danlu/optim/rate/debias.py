"""Adam's bias corrections, moved into the learning rate."""

from __future__ import annotations

from dataclasses import dataclass

from danlu.optim.catalog import piece
from danlu.optim.formulas.bias import adam_scale
from danlu.optim.piece import Rate
from danlu.optim.values import Tick
from danlu.ranges import Beta

__all__ = ["Debias"]


@piece(source="Kingma & Ba 2014, section 2 (the efficient order), arXiv:1412.6980; prodigyopt (use_bias_correction)")
@dataclass(frozen=True)
class Debias(Rate):
    """lr ← lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ): for moments that are read raw, where the corrected lr is to reach more than the step.

    Decoupled decay and rates that watch lr see it too. β₁ = β₂ = 0 is off.

    Args:
        beta1: memory of the first moment.
        beta2: memory of the second moment.
    """

    beta1: Beta = 0.9
    beta2: Beta = 0.999

    def factor(self, tick: Tick) -> float:
        """Return √(1 − β₂ᵗ)/(1 − β₁ᵗ)."""
        return adam_scale(self.beta1, self.beta2, tick.t)
