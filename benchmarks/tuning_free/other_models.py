"""Networks of kinds that the first two sets have not."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.tuning_free.models import Transformer, plain

__all__ = ["LSTM", "Experts", "Halves", "PostNorm", "Sums", "Tied", "conv_autoencoder", "deep_autoencoder", "depthwise"]


class LSTM(nn.Module):
    """Two layers of long short-term memory over characters."""

    def __init__(self, symbols: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.memory = nn.LSTM(width, width, 2, batch_first=True)
        self.head = nn.Linear(width, symbols)

    def forward(self, text: Tensor) -> Tensor:
        return self.head(self.memory(self.embedding(text))[0])


class Tied(nn.Module):
    """A transformer whose head is its embedding."""

    def __init__(self, symbols: int, width: int) -> None:
        super().__init__()
        self.network = Transformer(symbols, width, 2, 2, nn.LayerNorm)
        self.network.head.weight = self.network.embedding.weight

    def forward(self, text: Tensor) -> Tensor:
        return self.network(text)


class PostNorm(nn.Module):
    """torch's encoder layers, with the norm behind each sum as at first (Vaswani et al. 2017), causal, places learnt."""

    def __init__(self, symbols: int, width: int, depth: int, longest: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.places = nn.Parameter(0.02 * torch.randn(longest, width))
        layer = nn.TransformerEncoderLayer(width, 2, 4 * width, dropout=0.0, batch_first=True)
        self.body = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, symbols)

    def forward(self, text: Tensor) -> Tensor:
        length = text.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        return self.head(self.body(self.embedding(text) + self.places[:length], mask=mask))


def depthwise() -> nn.Sequential:
    """Convolutions of one channel each and of one pixel by turns, batch norm behind all (MobileNet)."""

    def layer(inputs: int, outputs: int, size: int, groups: int = 1) -> tuple[nn.Module, ...]:
        conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False)
        return conv, nn.BatchNorm2d(outputs), nn.ReLU()

    body = (
        *layer(1, 16, 3),
        *layer(16, 16, 3, 16),
        *layer(16, 32, 1),
        nn.MaxPool2d(2),
        *layer(32, 32, 3, 32),
        *layer(32, 48, 1),
    )
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10))


def conv_autoencoder() -> nn.Sequential:
    """Convolutions down to six numbers and up again."""
    down = (nn.Conv2d(1, 12, 3, 2, 1), nn.GELU(), nn.Conv2d(12, 24, 3, 2, 1), nn.GELU(), nn.Flatten(), nn.Linear(96, 6))
    up = (nn.ConvTranspose2d(24, 12, 4, 2, 1), nn.GELU(), nn.ConvTranspose2d(12, 1, 4, 2, 1))
    return nn.Sequential(*down, nn.Linear(6, 96), nn.Unflatten(1, (24, 2, 2)), *up)


def deep_autoencoder() -> nn.Sequential:
    """Linear layers and tanh down to eight numbers and up again (Hinton & Salakhutdinov 2006, smaller)."""
    return nn.Sequential(plain((64, 48, 24, 8, 24, 48, 64), nn.Tanh), nn.Unflatten(1, (1, 8, 8)))


class Halves(nn.Module):
    """Similarities (N, N) of codes of upper and lower halves of N digits, over a temperature that is learnt (CLIP)."""

    def __init__(self) -> None:
        super().__init__()
        self.upper, self.lower = (plain((32, 64, 32)) for _ in range(2))
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, images: Tensor) -> Tensor:
        parts = zip((self.upper, self.lower), images.flatten(1).chunk(2, -1), strict=True)
        upper, lower = (functional.normalize(network(half), dim=-1) for network, half in parts)
        return upper @ lower.mT * self.log_scale.exp()


class Experts(nn.Module):
    """Four small networks, mixed by a fifth (Jacobs et al. 1991)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(64, 4)
        self.experts = nn.ModuleList(plain((64, 32, 10)) for _ in range(4))

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)
        shares = self.gate(x).softmax(-1)
        return torch.stack([expert(x) for expert in self.experts], -1).matmul(shares[..., None]).squeeze(-1)


class Sums(nn.Module):
    """Logits of a sum modulo a number from the embeddings of its two terms."""

    def __init__(self, modulus: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(modulus, width)
        self.network = plain((2 * width, 128, modulus))

    def forward(self, terms: Tensor) -> Tensor:
        return self.network(self.embedding(terms))
