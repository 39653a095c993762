"""The coupled penalty."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.decay.rated import AbstractRated
from danlu.optim.values import Scalars

__all__ = ["L2"]


@piece(source="torch.optim (weight_decay of SGD and Adam)")
@dataclass(frozen=True)
class L2(AbstractRated):
    """g ← g + λ·p: the gradient of λ/2·‖p‖², added after the gradient transforms and before the moments.

    A loss written with λ‖p‖² has rate 2λ. Under an adaptive denominator it hardly decays parameters with large gradients;
    `Decoupled` does not have that coupling. 0 is off.

    Args:
        rate: λ.
    """

    def penalty(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return g + λ·p."""
        return g + c.p * h["rate"]
