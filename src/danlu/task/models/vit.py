"""A vision transformer for images of 8×8 pixels."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from danlu.layers import depth_rates
from danlu.task.models.attention import Block, initialise

__all__ = ["ViT"]


@final
class ViT(nn.Module):
    """Patches of 4×4 pixels, every 2 pixels, as 9 tokens; pre-norm blocks; the mean token is classified.

    After Dosovitskiy et al. 2020 (arXiv:2010.11929), with three departures that matter on pictures this small: the
    patches overlap, the mean of the tokens takes the place of the class token, and the position embeddings start
    at standard deviation 0.5, not 0.02, so that tokens can be told apart from the first update.

    Args:
        width: of a token, a multiple of `heads`.
        depth: number of blocks.
        heads: attention heads of a block.
        classes: K; the output is (N, K) logits for images (N, 1, 8, 8).
        drop_path: rate of the last block's branches; the first block has 0, those between are on the line.
    """

    def __init__(self, width: int = 64, depth: int = 2, heads: int = 4, classes: int = 10, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, kernel_size=4, stride=2)
        self.positions = nn.Parameter(0.5 * torch.randn(9, width))
        self.blocks = nn.Sequential(*(Block(width, heads, drop_path=rate) for rate in depth_rates(drop_path, depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K) of images (N, 1, 8, 8)."""
        tokens = self.patches(images).flatten(2).mT + self.positions
        return self.head(self.norm(self.blocks(tokens)).mean(dim=1))
