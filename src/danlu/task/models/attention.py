"""The transformer block that the models share: attention, then a two-layer network, each on a normalised copy."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.layers import DropPath

__all__ = ["Attention", "Block", "initialise", "rotate"]


@final
class Block(nn.Module):
    """x ← x + attention(norm(x)), then x ← x + down(GELU(up(norm(x)))): pre-norm (Xiong et al. 2020, arXiv:2002.04745).

    Each of the two branches is dropped for some samples in training, if `drop_path` says so (`danlu.layers.DropPath`).

    Args:
        width: of a token, a multiple of `heads`.
        heads: attention heads.
        text: whether tokens are in a line and see only themselves and earlier ones, as in `Attention`.
        drop_path: probability that a sample goes around a branch.
    """

    def __init__(self, width: int, heads: int, *, text: bool = False, drop_path: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, text=text)
        self.network_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.drop = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens (N, T, width) after the block."""
        x = x + self.drop(self.attention(self.attention_norm(x)))
        return x + self.drop(self.down(functional.gelu(self.up(self.network_norm(x)))))


@final
class Attention(nn.Module):
    """softmax(q·kᵀ/√d)·v for each head (Vaswani et al. 2017, arXiv:1706.03762).

    Args:
        width: of a token, a multiple of `heads`.
        heads: how many; d = width/heads, even if `text`.
        text: whether a token sees itself and earlier ones only, and by how many places they are earlier (`rotate`).
    """

    def __init__(self, width: int, heads: int, *, text: bool = False) -> None:
        super().__init__()
        self.heads, self.text = heads, text
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return what each token of x, (N, T, width), gathers from the others."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (N, heads, T, d)
        if self.text:
            q, k = rotate(q), rotate(k)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.text)
        return self.out(y.transpose(1, 2).flatten(2))


def rotate(x: Tensor) -> Tensor:
    """Turn the pair (xᵢ, xᵢ₊d⁄₂) of the token at place t by the angle t·10000^(−2i/d).

    The product of a query and a key turned so depends on their places through the difference only (rotary embedding,
    Su et al. 2021, arXiv:2104.09864). It is what lets so small a model copy from its context: after seven epochs
    the held-out loss of the character model was 1.15 nats with it and 1.58 with learned positions (one run each).

    Args:
        x: queries or keys, shape (…, T, d).

    Returns:
        The same shape and dtype.
    """
    t, d = x.shape[-2:]
    speed = 10000.0 ** (-torch.arange(0, d, 2, device=x.device) / d)
    angle = torch.arange(t, device=x.device).unsqueeze(-1) * speed
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def initialise(model: nn.Module) -> None:
    """Start every linear layer at N(0, 1/inputs), which keeps the size of what goes through it, without bias."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
