"""Cautious weight decay: only where the step pulls towards zero anyway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.decay.rated import AbstractRated
from danlu.optim.values import Scalars

__all__ = ["Cautious", "Zero"]

Zero = Literal["decay", "spare"]


@piece(source="Chen et al. 2025 (Cautious Weight Decay), arXiv:2510.12402, algorithm 1")
@dataclass(frozen=True)
class Cautious(AbstractRated):
    """p ← p − lr·λ·1[u·p ≥ 0]⊙p: decoupled decay of the coordinates whose step does not push them away from zero.

    u is the final direction, p the old parameter. It does not pull the optimum of the loss towards zero, so λ may stay what it
    was for AdamW. The mask is not divided by its mean, as in the paper. No state. 0 is off.

    Args:
        rate: λ.
        zero: what happens to a coordinate whose step is zero: "decay" it, as the paper's ≥ says, or "spare" it.
    """

    zero: Zero = "decay"

    def shrink(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return p − lr·λ·p where the mask holds."""
        along = c.u * p
        mask = along >= 0 if self.zero == "decay" else along > 0
        return torch.where(mask, p - p * (c.lr * h["rate"]), p)
