"""Clipping of each tensor on its own: by its norm, or by its root mean square."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.norms import rms, shrinkage
from danlu.optim.grad.clip_norm import NormOrder
from danlu.optim.piece import GradPiece
from danlu.optim.values import Scalars, Scope, Sight, Tick
from danlu.ranges import NonNegative, Positive

__all__ = ["ClipBlockRms", "ClipTensorNorm"]


@piece(source="Keras (clipnorm); torch.nn.utils.clip_grad_norm_ on one tensor")
@dataclass(frozen=True)
class ClipTensorNorm(GradPiece):
    """g ← g·min(1, n/(‖g‖ₚ + ε)) for each tensor by itself: its norm is at most n.

    Its direction is kept, that of the whole gradient is not. No state, no sum over tensors.

    Args:
        max_norm: the bound n, in the unit of g.
        order: p in [1, inf]; inf is the largest magnitude.
        eps: ε; 1e-6 is torch's.
    """

    max_norm: Positive
    order: NormOrder = 2.0
    eps: NonNegative = 0.0

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """n and ε."""
        return {"max_norm": self.max_norm, "eps": self.eps}

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the clipped gradient."""
        if not g.numel():
            return g  # nothing has no largest magnitude
        norm = torch.linalg.vector_norm(g, self.order)
        return g * shrinkage(norm + h["eps"], h["max_norm"])


@piece(source="Shazeer & Stern 2018 (Adafactor), arXiv:1804.04235, section 6, on the gradient; optax.clip_by_block_rms")
@dataclass(frozen=True)
class ClipBlockRms(GradPiece):
    """g ← g/max(1, rms(g)/d) for each tensor by itself: its root mean square is at most d, whatever its size.

    No state, no sum over tensors.

    Args:
        max_rms: the bound d, in the unit of g.
    """

    max_rms: Positive

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """d."""
        return {"max_rms": self.max_rms}

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the clipped gradient."""
        return g * shrinkage(rms(g), h["max_rms"])
