"""One running mean of the parameter; its kinds differ in the weight of the newest value alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.piece import Average
from danlu.optim.values import Scalars, Start, Tick, itself
from danlu.ranges import Count, Steps

__all__ = ["AbstractRunning"]


@dataclass(frozen=True, kw_only=True)
class AbstractRunning(Average):
    """E ← E + w·(p − E) with the new p, in float32 or wider; evaluation is done at E. 4 bytes per parameter.

    The difference form keeps its digits when w is small. BatchNorm's statistics belong to the weights too: average them
    as well (``buffers="average"``, see `Optimizer`), or compute them again at E (``danlu.layers.recalibrate`` inside
    ``averaged()``).

    Args:
        every: steps between two looks at p.
        start: steps during which E is p itself; the looks are counted from there.
    """

    every: Count = 1
    start: Steps = 0

    def slots(self) -> Mapping[str, Start]:
        """E, from the parameter."""
        return {"average": itself}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weight w of the new p: 1 before `start`, 0 between two looks."""
        since = tick.t - self.start
        if since <= 0:
            return {"new": 1.0}
        return {"new": 0.0 if since % self.every else self.weight(since // self.every)}

    def follow(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return p; keep E."""
        old = c.load("average")
        c.save("average", old + (p - old) * h["new"])
        return p

    def point(self, p: Tensor, slots: Mapping[str, Tensor]) -> Tensor:
        """Return E."""
        return slots["average"]

    @abstractmethod
    def weight(self, n: int) -> float:
        """Return the weight w of the n-th look, n from 1."""
