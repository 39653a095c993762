"""Slow weights that the fast ones return to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Average
from danlu.optim.values import Scalars, Start, Tick, itself
from danlu.ranges import Count, Fraction

__all__ = ["Lookahead"]


@piece(source="Zhang et al. 2019 (Lookahead), arXiv:1907.08610")
@dataclass(frozen=True)
class Lookahead(Average):
    """φ ← φ + α·(p − φ) and then p ← φ, after every k-th step, from φ = p₀: k steps forward, part of the way back.

    Evaluation is done at φ. The moments go on as they are. The slow weights start at the parameter before its first step (timm
    takes them at the first sync, which then does nothing), are part of the state, and each tensor counts its own steps. 4 bytes
    per parameter.

    Args:
        every: k.
        alpha: α, how far the slow weights follow; 1 is the inner rule alone.
    """

    every: Count = 5
    alpha: Fraction = 0.5

    moves: ClassVar[bool] = True

    def slots(self) -> Mapping[str, Start]:
        """φ, from the parameter."""
        return {"slow": itself}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """How far φ moves, and which of p and φ goes on."""
        sync = 0.0 if tick.t % self.every else 1.0
        return {"pull": self.alpha * sync, "slow": sync, "fast": 1.0 - sync}

    def follow(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return p, or φ when it is time."""
        old = c.load("slow")
        slow = c.save("slow", old + (p - old) * h["pull"])
        return p * h["fast"] + slow * h["slow"]

    def point(self, p: Tensor, slots: Mapping[str, Tensor]) -> Tensor:
        """Return φ."""
        return slots["slow"]
