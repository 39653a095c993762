"""Layer norm of pictures over their channels."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

__all__ = ["ChannelNorm"]


@final
class ChannelNorm(nn.LayerNorm):
    """Layer norm over C of (N, C, …), for every place by itself (ConvNeXt, Liu et al. 2022, arXiv:2201.03545).

    Another function than ``nn.GroupNorm(1, C)``, whose mean and variance are over C, H and W. Arguments and state are those of
    `torch.nn.LayerNorm` with C features.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return the normalised input, the same shape."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)
