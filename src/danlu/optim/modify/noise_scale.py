"""Steps in proportion to how much of the gradient is signal: what an orthogonalised momentum has forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.bias import corrections
from danlu.optim.piece import Modify
from danlu.optim.values import Scalars, Scope, Sight, Start, Tick, single_zero
from danlu.ranges import Beta

__all__ = ["NoiseScale"]


@piece(source="docs/furnace.md")
@dataclass(frozen=True)
class NoiseScale(Modify):
    """u ← u·‖m̂‖/√ŷ, y ← β·y + (1 − β)·‖g‖²: full steps where gradients agree, small ones where the momentum is noise.

    One number per tensor. By Cauchy and Schwarz the factor is at most 1 where m is an average of the same memory β; of n
    gradients that have nothing in common it is about 1/√n, n the length of m's memory. A sign or an orthogonal matrix has
    lost the size of m, and with it this damping: without it Muon's steps keep their full size however little they mean.
    Where y remembers longer, steps also shrink as gradients do, and may exceed 1 as they grow: with memory α of m it is at most
    (1 − α)/√((1 − β)(1 − α²/β)), 2.3 for 0.9 and 0.99. While y = 0 nothing moves. 4 bytes per tensor; state
    key ``noise_scale``.

    Args:
        beta: β, the memory of the mean square; that of m, or longer.
        num: name of the moment to use instead of the first one.
    """

    beta: Beta = 0.95
    num: str | None = None

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def slots(self) -> Mapping[str, Start]:
        """The mean square."""
        return {"noise_scale": single_zero}

    def magnitudes(self) -> frozenset[str]:
        """The mean square."""
        return frozenset({"noise_scale"})

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weight of what is new, and the bias correction with its square root."""
        return {"new": 1.0 - self.beta, **corrections(self.beta**tick.t)}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the scaled direction."""
        old = c.load("noise_scale")
        y = c.save("noise_scale", old + (c.g.square().sum() - old) * h["new"])
        length = torch.linalg.vector_norm(c.numerator(self.num).hat)
        return u * torch.where(y > 0, length / (y.sqrt() * h["root_debias"]), 0.0)
