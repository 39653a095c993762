"""What the two ways of running have in common: the set-up, the gradients, and the frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from danlu.optim.rule import Rule
from danlu.schedule import Schedule
from danlu.surface.noise import Noise
from danlu.surface.surface import Surface

__all__ = ["Frames", "Run"]


class Frames(NamedTuple):
    """Parameters, their averages, gradient norms, whether the run lives, and its state, at the kept updates: (L, S, K, …).

    Of the state, the root mean square of each tensor of real numbers.
    """

    p: Tensor
    evaluated: Tensor
    grad_norm: Tensor
    alive: Tensor
    state: Mapping[str, Tensor]


@dataclass(frozen=True)
class Run:
    """A rule on a surface, from starts (S, *shape) with learning rates (L)."""

    rule: Rule
    surface: Surface
    starts: Tensor
    lrs: Sequence[float]
    steps: int
    seed: int
    noise: Noise | None
    schedule: Schedule | None
    every: int
    watch: Callable[[int], object]

    @cached_property
    def kept(self) -> list[int]:
        """The numbers of the updates that are kept: the start is 0."""
        return sorted({*range(0, self.steps + 1, self.every), self.steps})

    @cached_property
    def draws(self) -> list[Tensor]:
        """What the noise draws, per update."""
        if self.noise is None:
            return []
        return [self.noise.draw(self.surface.shape, self.seed, k) for k in range(self.steps)]

    def rate(self, lr: float, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        return lr if self.schedule is None else lr * self.schedule.factor(update, self.steps, self.steps)

    def noisy(self, g: Tensor, update: int) -> Tensor:
        """The gradient that the rule sees."""
        return g if self.noise is None else self.noise.apply(g, self.draws[update])

    def gradient(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """Return f and its gradient at parameters (…, *shape); autograd sees one sum, of which each summand has its own p."""
        with torch.enable_grad():
            leaf = p.detach().requires_grad_()
            value = self.surface.value(leaf)
            (g,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), g
