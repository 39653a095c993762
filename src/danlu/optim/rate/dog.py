"""Distance over gradients: a rate from how far one has come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.norms import norm_squared
from danlu.optim.piece import Measured, Rate
from danlu.optim.values import Scalars, Scope, Sight, Start, Tick, itself, single_zero
from danlu.ranges import Positive

__all__ = ["Dog", "LDog"]


@piece(source="Ivgi, Hinder, Carmon 2023 (DoG), arXiv:2302.12022; formll/dog")
@dataclass(frozen=True)
class Dog(Rate, Measured):
    """lr ← lr·r/√(Σ‖g‖² + ε) with r = the largest distance so far from p₀, at least r_ε·(1 + ‖p₀‖); norms over all tensors.

    For plain SGD at lr 1, without a schedule; evaluate at an average (``average.Polynomial``). The authors take the norms of
    each group for itself. 4 bytes per parameter.

    Args:
        reps_rel: r_ε, the first distance; 1e-6, or 1e-4 with BatchNorm.
        eps: ε, in the unit of g².
    """

    reps_rel: Positive = 1e-6
    eps: Positive = 1e-8

    settles: ClassVar[tuple[str, ...]] = ()  # what it finds is shared from step to step

    def slots(self) -> Mapping[str, Start]:
        """The parameter before its first step."""
        return {"p0": itself}

    def shared(self) -> Mapping[str, float]:
        """r, and Σ‖g‖²."""
        return {"dog_distance": 0.0, "dog_sum": 0.0}

    def factor(self, tick: Tick) -> float:
        """Return r/√(Σ‖g‖² + ε)."""
        return tick.shared["dog_distance"] / math.sqrt(tick.shared["dog_sum"] + self.eps)

    def watch(self, c: Context, h: Scalars) -> None:
        """Keep p₀."""
        c.save("p0", c.load("p0"))

    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return ‖p − p₀‖², ‖p₀‖² and ‖g‖² of one tensor."""
        p0 = c.load("p0")
        return torch.stack([norm_squared(x) for x in (c.p - p0, p0, c.g)])

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, float]:
        """Return r and Σ‖g‖² with this step's."""
        way, start, size = total.tolist()
        r = max(tick.shared["dog_distance"], self.reps_rel * (1.0 + math.sqrt(start)), math.sqrt(way))
        return {"dog_distance": r, "dog_sum": tick.shared["dog_sum"] + size}


@piece(source="Ivgi, Hinder, Carmon 2023 (L-DoG), arXiv:2302.12022; formll/dog")
@dataclass(frozen=True)
class LDog(Rate):
    """lr ← lr·r/√(Σ‖g‖² + ε) as in `Dog`, with the norms of each tensor for itself.

    Step and decay are scaled alike. 4 bytes per parameter.

    Args:
        reps_rel: r_ε, the first distance.
        eps: ε, in the unit of g².
    """

    reps_rel: Positive = 1e-6
    eps: Positive = 1e-8

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def slots(self) -> Mapping[str, Start]:
        """The parameter before its first step, r, and Σ‖g‖²."""
        return {"p0": itself, "dog_distance": single_zero, "dog_sum": single_zero}

    def factor(self, tick: Tick) -> float:
        """Return 1: each tensor's own factor is set on the tensor."""
        return 1.0

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """r_ε and ε."""
        return {"first": self.reps_rel, "eps": self.eps}

    def watch(self, c: Context, h: Scalars) -> None:
        """Set the tensor's factor; keep p₀, r and Σ‖g‖²."""
        p0 = c.save("p0", c.load("p0"))
        way, start, size = (torch.linalg.vector_norm(x) for x in (c.p - p0, p0, c.g))
        r = c.save("dog_distance", torch.maximum(torch.maximum(c.load("dog_distance"), way), (1.0 + start) * h["first"]))
        total = c.save("dog_sum", c.load("dog_sum") + size * size)
        c.scale_lr(r / (total + h["eps"]).sqrt())
