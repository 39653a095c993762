"""The tensors that optimizers are timed on, and identical seeded copies of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

__all__ = ["CALLS", "ROUNDS", "SETS", "Gradients", "copies"]

Shape = tuple[int, ...]


def transformer(layers: int = 12, width: int = 384, vocabulary: int = 10_000, positions: int = 256) -> Iterator[Shape]:
    """The parameters of a small decoder: 25.2 M in 148 tensors at the defaults."""
    yield from [(vocabulary, width), (positions, width)]
    for _ in range(layers):
        yield from [(3 * width, width), (3 * width,), (width, width), (width,)]
        yield from [(4 * width, width), (4 * width,), (width, 4 * width), (width,)]
        yield from [(width,)] * 4
    yield from [(width,), (width,)]


def small(count: int, low: int, high: int) -> list[Shape]:
    """`count` vectors with lengths from `low` to `high`."""
    draw = random.Random(0)
    return [(draw.randint(low, high),) for _ in range(count)]


SETS: dict[str, tuple[str, list[Shape]]] = {
    "a": ("transformer-like", list(transformer())),
    "b": ("many small tensors", small(1000, 1000, 5000)),
    "c": ("four large tensors", [(2500, 2500)] * 4),
    "d": ("tiny model", small(20, 10, 1000)),
}
CALLS = {"a": 1, "b": 5, "c": 1, "d": 200}  # steps per round: enough to be longer than the clock's and the scheduler's grain
ROUNDS = 15


def copies(shapes: list[Shape]) -> list[Tensor]:
    """Parameters of these shapes, the same at every call."""
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=draw).requires_grad_() for shape in shapes]


class Gradients:
    """Gradients of these shapes, the same at every call, shared by all; some libraries write them or drop them."""

    def __init__(self, shapes: list[Shape]) -> None:
        draw = torch.Generator().manual_seed(2)
        self.clean = [torch.randn(shape, generator=draw) for shape in shapes]
        self._shared = [g.clone() for g in self.clean]
        self._versions = [g._version for g in self._shared]

    def give(self, params: Sequence[Tensor]) -> None:
        """Hang the gradients on the parameters, unchanged."""
        for i, (p, g) in enumerate(zip(params, self._shared, strict=True)):
            if g._version != self._versions[i]:
                g.copy_(self.clean[i])
                self._versions[i] = g._version
            p.grad = g
