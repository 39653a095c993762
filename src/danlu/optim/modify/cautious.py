"""Cautious updates: no step where the momentum and the present gradient disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Modify
from danlu.optim.values import Scalars, Scope, Sight, Tick
from danlu.ranges import Positive

__all__ = ["Cautious", "MaskScale"]

MaskScale = Literal["clamped_mean", "paper", "none"]


@piece(source="Liang et al. 2024 (Cautious Optimizers), arXiv:2411.16085; timm for the clamped mean")
@dataclass(frozen=True)
class Cautious(Modify):
    """u ← s·φ⊙u, φ = 1[u·g > 0]: only the coordinates that the gradient agrees with, scaled up for the others.

    g is the gradient that the moments saw. A coordinate with g = 0 stands still, momentum or not; if none agrees, the tensor
    does. Both scales keep the mean step: of a tensor with n elements the paper's n/(Σφ + 1) gives back less than it took when
    n is small (half the step of a scalar), the clamped mean does not. No state.

    Args:
        scale: s: "clamped_mean" is 1/max(mean φ, floor) (timm; the authors' AdamW), "paper" is n/(Σφ + 1) (the paper; the
            authors' Lion), "none" is 1.
        floor: least mean of φ that counts, which bounds s by 1/floor.
    """

    scale: MaskScale = "clamped_mean"
    floor: Positive = 1e-3

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The floor."""
        return {"floor": self.floor}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return s·φ⊙u."""
        mask = (u * c.g > 0).to(u.dtype)
        if self.scale == "none":
            return u * mask
        if self.scale == "paper":
            return u * mask * (mask.numel() / (mask.sum() + 1.0))
        return u * (mask / mask.mean().clamp_min(h["floor"]))
