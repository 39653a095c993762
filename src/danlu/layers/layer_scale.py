"""A learnable factor for each channel of a residual branch."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from danlu.ranges import AnyNumber, Count, check, hints

__all__ = ["LayerScale"]


@final
class LayerScale(nn.Module):
    """y = γ·x, one γ per channel, started small (CaiT, Touvron et al. 2021, arXiv:2103.17239).

    At the end of a residual branch it makes a deep network start near the identity: ``x + scale(f(x))``. Started at 0 the
    branch has no gradient until γ has moved, which it does in the first update.

    Args:
        width: number of channels.
        start: first value of γ; the paper has 0.1 for up to 18 blocks, 1e-5 for 24, 1e-6 for more.
        dim: of the channels: -1 for tokens (N, T, D), 1 for pictures (N, C, H, W).

    Raises:
        ValueError: when an argument is out of its range.
    """

    def __init__(self, width: Count, start: AnyNumber = 1e-5, dim: int = -1) -> None:
        super().__init__()
        check("LayerScale", hints(LayerScale.__init__), {"width": width, "start": start, "dim": dim})
        self.dim = dim
        self.weight = nn.Parameter(torch.full((width,), float(start)))

    def forward(self, x: Tensor) -> Tensor:
        """Return γ·x, the same shape."""
        return (x.movedim(self.dim, -1) * self.weight).movedim(-1, self.dim)
