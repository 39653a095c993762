"""Polyak's momentum buffer, plain, damped, and read as Nesterov does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalars, Tick
from danlu.ranges import Beta, Fraction

__all__ = ["HeavyBall"]


@piece(source="Polyak 1964; Sutskever et al. 2013; torch.optim.SGD")
@dataclass(frozen=True)
class HeavyBall(Moment):
    """b ← μ·b + (1 − d)·g with b₁ = g, read as b, or with Nesterov as g + μ·b.

    Nesterov's form is source 000's look-ahead written in the point y = θ + α·v where the gradient is taken: the parameter that
    is trained is y. With the lr inside the buffer (a rule's `after_lr`) the identity holds under every schedule; with the lr
    outside, for a constant lr. In the steady state the step is 1/(1 − μ) times the gradient's. 4 bytes per parameter.

    Args:
        momentum: μ.
        dampening: d; torch's convention leaves the first buffer undamped. The first step is meant: a momentum that is switched
            on later begins damped, where torch's does not.
        nesterov: read one step ahead.
    """

    momentum: Beta
    dampening: Fraction = 0.0
    nesterov: bool = False

    @property
    def exact_at_first(self) -> bool:
        """Yes, unless it is read one step ahead: b₁ = g."""
        return not self.nesterov

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weights of the old buffer and of g."""
        return {"keep": self.momentum, "new": 1.0 if tick.t == 1 else 1.0 - self.dampening}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return μ·b + (1 − d)·g."""
        return {name: old[name] * h["keep"] + g * h["new"]}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return the buffer, or g + μ·b."""
        return Reading(g + new[name] * h["keep"] if self.nesterov else new[name])
