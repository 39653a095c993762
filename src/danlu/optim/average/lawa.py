"""The mean of the latest snapshots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Average
from danlu.optim.values import Scalars, Scope, Sight, Start, Tick, single_zero
from danlu.ranges import Count, Interval, Structural

__all__ = ["Lawa", "Window"]

Window = Annotated[int, Interval(1, math.inf, "left"), Structural()]


@piece(source="Kaddour 2022 (LAWA), arXiv:2209.14981; Sanyal et al. 2023, arXiv:2306.03241")
@dataclass(frozen=True)
class Lawa(Average):
    """E = the mean of the last k snapshots of p, one every n steps; p goes its own way. 4·k bytes per parameter.

    Before the first snapshot E is p, and until there are k of them it is the mean of those there are. Buffers as in `Swa`.

    Args:
        window: k.
        every: n; the papers take an epoch.
    """

    window: Window = 5
    every: Count = 1

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def slots(self) -> Mapping[str, Start]:
        """A ring of k snapshots, shaped (k, …), and how many it holds."""
        return {"ring": partial(_ring, window=self.window), "snapshots": single_zero}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The place in the ring that this step writes (−1: none), and how many snapshots there are then."""
        n = tick.t // self.every
        return {"place": -1.0 if tick.t % self.every else float((n - 1) % self.window), "held": float(min(n, self.window))}

    def follow(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return p; put it into the ring when it is time."""
        ring = c.load("ring")
        places = torch.arange(self.window, device=p.device).view(-1, *[1] * p.ndim)
        c.save("ring", torch.where(places == h["place"], p, ring))
        c.save("snapshots", torch.zeros_like(c.load("snapshots")) + h["held"])
        return p

    def point(self, p: Tensor, slots: Mapping[str, Tensor]) -> Tensor:
        """Return E."""
        held = slots["snapshots"]
        return torch.where(held > 0, slots["ring"].sum(0) / held.clamp_min(1.0), p)


def _ring(p: Tensor, window: int) -> Tensor:
    return p.new_zeros(window, *p.shape)
