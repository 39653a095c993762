"""The size of a tensor's typical element."""

from __future__ import annotations

from torch import Tensor

__all__ = ["excess", "rms"]


def rms(x: Tensor) -> Tensor:
    """Return √mean(x²) of one tensor, 0-d."""
    return x.square().mean().sqrt()


def excess(x: Tensor, threshold: Tensor | float) -> Tensor:
    """Return max(1, RMS(x)/threshold): what to divide by so that x keeps below it."""
    return (rms(x) / threshold).clamp_min(1.0)
