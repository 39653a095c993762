"""Normalisation by the root mean square alone."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from danlu.ranges import Count, Positive, check, hints

__all__ = ["RMSNorm"]


@final
class RMSNorm(nn.Module):
    """y = γ·x/√(mean x² + ε) over the last dimension (Zhang & Sennrich 2019, arXiv:1910.07467).

    Layer norm without its mean and its bias. y does not change when x is multiplied by c ≫ √ε. It is `torch.nn.RMSNorm` but
    for two things: ε is 1e-6 in every dtype, where torch's default is a machine epsilon (1.2e-7 in float32), and everything is
    computed in float32 or wider and rounded once, to the dtype of x.

    Args:
        width: D, the size of the last dimension; γ has D elements and starts at 1.
        eps: ε, inside the root.

    Raises:
        ValueError: when an argument is out of its range.
    """

    def __init__(self, width: Count, eps: Positive = 1e-6) -> None:
        super().__init__()
        check("RMSNorm", hints(RMSNorm.__init__), {"width": width, "eps": eps})
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised x, shape (…, D), in the dtype of x."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        y = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (self.weight * y).to(x.dtype)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{len(self.weight)}, eps={self.eps:g}"
