"""Clipping of each gradient element between two magnitudes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import GradPiece
from danlu.optim.values import Scalars, Tick
from danlu.ranges import NonNegative, Positive

__all__ = ["ClipValue"]


@piece(source="common practice; the lower bound after source 001")
@dataclass(frozen=True)
class ClipValue(GradPiece):
    """g ← sign(g)·min(max(|g|, lower), upper): every element's magnitude between two bounds.

    It changes the gradient's direction. ``lower=0`` (the default) is torch's ``clip_grad_value_``. A positive `lower` lifts
    small elements to it, as an answer to vanishing gradients; exact zeros stay zero, and the lifted noise of a converged
    coordinate is as large as any signal, so use it to look at a problem rather than to cure one. nan stays nan.

    Args:
        upper: largest magnitude, in the unit of g.
        lower: smallest magnitude of a non-zero element, in the unit of g; at most `upper`.

    Raises:
        ValueError: if `lower` is above `upper`.
    """

    upper: Positive
    lower: NonNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lower > self.upper:
            raise ValueError(f"grad.ClipValue: lower must be in [0, upper = {self.upper:g}], got {self.lower!r}")

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The two bounds."""
        return {"upper": self.upper, "lower": self.lower}

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the bounded gradient."""
        return g.sign() * g.abs().clamp(h["lower"], h["upper"])  # pyrefly: ignore[no-matching-overload] - both or neither are tensors
