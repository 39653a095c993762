"""Small networks of many kinds, as torch or their papers start them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.task.models.attention import Attention, initialise
from danlu.task.models.residual import Residual

__all__ = [
    "VAE",
    "Factors",
    "Fourier",
    "NGram",
    "Recurrent",
    "Restorer",
    "SuperResolver",
    "Transformer",
    "conv_net",
    "mixer",
    "plain",
    "table",
]

Norm = Callable[[int], nn.Module]


def plain(
    widths: Sequence[int], activation: Callable[[], nn.Module] = nn.ReLU, *, gain: float = 0.0, norm: Norm | None = None
) -> nn.Sequential:
    """Linear layers with an activation, and a norm before it if given, between; weights N(0, gain²/inputs), or torch's at 0."""
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        if i:
            layers += [activation()] if norm is None else [norm(inputs), activation()]
        layers.append(nn.Linear(inputs, outputs))
        if gain:
            nn.init.normal_(layers[-1].weight, std=gain / math.sqrt(inputs))
            nn.init.zeros_(layers[-1].bias)
    return nn.Sequential(*layers)


def conv_net(width: int, norm: Norm, classes: int = 10) -> nn.Sequential:
    """Three convolutions with a norm and ReLU each, two poolings, a linear layer, for images of 8×8."""

    def layer(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(inputs, outputs, 3, padding=1), norm(outputs), nn.ReLU()

    body = (*layer(1, width), nn.MaxPool2d(2), *layer(width, 2 * width), nn.MaxPool2d(2), *layer(2 * width, 2 * width))
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(8 * width, classes))


class Transformer(nn.Module):
    """Embedding, causal blocks x + attention(norm(x)), x + mlp(norm(x)), norm, head; rotary positions."""

    def __init__(self, symbols: int, width: int, depth: int, heads: int, norm: Norm) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.blocks = nn.Sequential()
        for _ in range(depth):
            network = nn.Sequential(norm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            attention = nn.Sequential(norm(width), Attention(width, heads, text=True))
            self.blocks.extend((Residual(attention), Residual(network)))
        self.norm = norm(width)
        self.head = nn.Linear(width, symbols, bias=False)
        initialise(self)

    def forward(self, text: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.embedding(text))))


class NGram(nn.Module):
    """The next character from the embeddings of those before it through one hidden layer (Bengio et al. 2003)."""

    def __init__(self, symbols: int, context: int, width: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.network = plain((context * width, hidden, symbols), nn.Tanh)

    def forward(self, text: Tensor) -> Tensor:
        return self.network(self.embedding(text))


class Recurrent(nn.Module):
    """A gated recurrent network over characters (Cho et al. 2014)."""

    def __init__(self, symbols: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.memory = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, symbols)

    def forward(self, text: Tensor) -> Tensor:
        return self.head(self.memory(self.embedding(text))[0])


class Factors(nn.Module):
    """A table as the product of two embeddings and a bias each: x[i, j] ≈ u[i]·v[j] + a[i] + b[j]."""

    def __init__(self, sides: tuple[int, int], rank: int) -> None:
        super().__init__()
        self.left, self.right = (nn.Embedding(side, rank) for side in sides)
        self.left_bias, self.right_bias = (nn.Embedding(side, 1) for side in sides)
        for factor in (self.left, self.right):
            nn.init.normal_(factor.weight, std=rank**-0.5)
        for bias in (self.left_bias, self.right_bias):
            nn.init.zeros_(bias.weight)

    def forward(self, places: Tensor) -> Tensor:
        i, j = places.unbind(-1)
        return (self.left(i) * self.right(j)).sum(-1, keepdim=True) + self.left_bias(i) + self.right_bias(j)


def table(sides: tuple[int, int], width: int, hidden: int) -> nn.Module:
    """A table through embeddings of row and column and a perceptron on both."""
    return nn.Sequential(_Pairs(sides, width), *plain((2 * width, hidden, hidden, 1)))


class _Pairs(nn.Module):
    def __init__(self, sides: tuple[int, int], width: int) -> None:
        super().__init__()
        self.left, self.right = (nn.Embedding(side, width) for side in sides)

    def forward(self, places: Tensor) -> Tensor:
        return torch.cat((self.left(places[:, 0]), self.right(places[:, 1])), -1)


class Fourier(nn.Module):
    """sin and cos of fixed random projections of the input (Tancik et al. 2020), then a perceptron."""

    features: Tensor

    def __init__(self, count: int, scale: float, widths: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("features", scale * torch.randn(2, count))
        self.network = plain((2 * count, *widths))

    def forward(self, places: Tensor) -> Tensor:
        angles = places @ self.features
        return self.network(torch.cat((angles.sin(), angles.cos()), -1))


class Restorer(nn.Module):
    """What a chain of convolutions without norms adds to a noisy picture (DnCNN without its batch norm)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())
        for _ in range(depth):
            self.body.extend((nn.Conv2d(width, width, 3, padding=1), nn.ReLU()))
        self.body.append(nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, picture: Tensor) -> Tensor:
        return picture + self.body(picture)


class SuperResolver(nn.Module):
    """A picture of twice the sides: the nearest pixel, and what convolutions and a pixel shuffle add (ESPCN)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(3, width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, 12, 3, padding=1), nn.PixelShuffle(2)),
        )

    def forward(self, picture: Tensor) -> Tensor:
        return functional.interpolate(picture, scale_factor=2) + self.body(picture)


class VAE(nn.Module):
    """Two perceptrons around a Gaussian code; returns logits of pixels, mean and log variance of the code."""

    def __init__(self, pixels: int, hidden: int, code: int) -> None:
        super().__init__()
        self.encoder = plain((pixels, hidden, hidden, 2 * code))
        self.decoder = plain((code, hidden, hidden, pixels))

    def forward(self, picture: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(picture).chunk(2, -1)
        return self.decoder(mean + noise * (0.5 * log_variance).exp()), mean, log_variance


def mixer(width: int, depth: int, norm: Norm, classes: int = 10) -> nn.Module:
    """A network of perceptrons over rows and columns of an 8×8 image in turn (after MLP-Mixer), each a residual block."""
    body = nn.Sequential(nn.Flatten(1, 2), nn.Linear(8, width))
    for _ in range(depth):
        places = nn.Sequential(norm(width), _Turn(), nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8), _Turn())
        channels = nn.Sequential(norm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        body.extend((Residual(places), Residual(channels)))
    return nn.Sequential(*body, norm(width), nn.Flatten(), nn.Linear(8 * width, classes))


class _Turn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mT
