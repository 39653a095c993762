"""What stands between a gradient and an optimizer on real data: noise, outliers, coordinates that are rarely seen.

Each draw is keyed by (seed, update): the same for every start, learning rate and rule, so that comparisons are paired, and
the first k updates do not depend on how many follow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Annotated

import torch
from torch import Tensor

from danlu.keyed import generator
from danlu.ranges import Interval, NonNegative, check, hints
from danlu.registry import snake

__all__ = ["Gaussian", "HeavyTailed", "Noise", "Sparse"]


class Noise(ABC):
    """Changes gradients as a mini-batch would. A subclass is a frozen dataclass whose annotations carry the ranges."""

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        check(snake(type(self)), hints(type(self)), given)

    def draw(self, shape: tuple[int, ...], seed: int, update: int) -> Tensor:
        """Return the numbers in (0, 1), or normal ones, that `apply` takes; a pure function of its arguments."""
        return torch.randn(shape, generator=generator(seed, "noise", update), dtype=torch.float64)

    @abstractmethod
    def apply(self, g: Tensor, drawn: Tensor) -> Tensor:
        """Return the gradients (…, *shape) with the draw of shape `shape` in them."""


@dataclass(frozen=True)
class Gaussian(Noise):
    """g + σ·ξ, ξ normal, each coordinate by itself.

    Args:
        sigma: σ, in the unit of g.
    """

    sigma: NonNegative = 1.0

    def apply(self, g: Tensor, drawn: Tensor) -> Tensor:
        """Return g + σ·ξ."""
        return g + self.sigma * drawn


@dataclass(frozen=True)
class HeavyTailed(Noise):
    """g + σ·s·(U^(−1/α) − 1), s = ±1, U uniform: Lomax noise of either sign, whose variance is infinite for α ≤ 2.

    Args:
        sigma: σ, in the unit of g.
        tail: α, the tail's index; the mean exists for α > 1.
    """

    sigma: NonNegative = 1.0
    tail: Annotated[float, Interval(1.0, 10.0, "right")] = 1.5

    def draw(self, shape: tuple[int, ...], seed: int, update: int) -> Tensor:
        """Return a number in (−1, 1) for each coordinate: its sign is s, its distance from 0 is U."""
        return 2.0 * torch.rand(shape, generator=generator(seed, "noise", update), dtype=torch.float64) - 1.0

    def apply(self, g: Tensor, drawn: Tensor) -> Tensor:
        """Return g with the noise added."""
        lomax = drawn.abs().clamp_min(torch.finfo(drawn.dtype).eps) ** (-1.0 / self.tail) - 1.0
        return g + self.sigma * drawn.sign() * lomax


@dataclass(frozen=True)
class Sparse(Noise):
    """g/q with probability q, else 0, each coordinate by itself: the mean is g, as for rows of an embedding.

    Args:
        probability: q.
    """

    probability: Annotated[float, Interval(0.0, 1.0, "right")] = 0.2

    def draw(self, shape: tuple[int, ...], seed: int, update: int) -> Tensor:
        """Return uniform numbers."""
        return torch.rand(shape, generator=generator(seed, "noise", update), dtype=torch.float64)

    def apply(self, g: Tensor, drawn: Tensor) -> Tensor:
        """Return the gradient where the coordinate is seen, and 0 elsewhere."""
        return g * (drawn < self.probability) / self.probability
