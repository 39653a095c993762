"""A bound on how much one step may change a matrix's largest singular value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from danlu.keyed import generator
from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.units import is_vector
from danlu.optim.piece import Modify
from danlu.optim.values import Scalars, Scope, Start, Tick
from danlu.ranges import Interval, Positive, Structural

__all__ = ["Iterations", "SpectralBound"]

Iterations = Annotated[int, Interval(1, 10**6), Structural()]


@piece(source='Qi et al. 2025 (AdamW², "Taming Transformer Without Using Learning Rate Warmup"), arXiv:2505.21910')
@dataclass(frozen=True)
class SpectralBound(Modify):
    """lr ← min(lr, τ·σ₁(p)/σ₁(u)) per matrix: then σ₁(p) grows by at most the factor 1 + τ, as σ₁(p + Δ) ≤ σ₁(p) + σ₁(Δ).

    The bounded lr also multiplies a decoupled decay. More sides than two are matrices (O, rest); vectors and scalars, and
    matrices that are zero, are not bounded. σ₁ is a power iteration's, which goes on where the last step stopped: it is never
    too large, and at first too small. Two vectors of the smaller side per matrix. Source 003 has one factor for all layers; the
    paper bounds each.

    Unverified: the paper's τ, and whether its decay counts in u; its text was not at hand.

    Args:
        tau: τ.
        iterations: rounds of the power iteration per step, for p and for u.
    """

    tau: Positive = 0.01
    iterations: Iterations = 2

    scope: ClassVar[Scope] = "matrix"

    @property
    def scales_lr(self) -> bool:
        """Always."""
        return True

    def slots(self) -> Mapping[str, Start]:
        """The right singular vectors, as far as they are known."""
        return {"spectral_param": _anywhere, "spectral_update": _anywhere}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """τ."""
        return {"tau": self.tau}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return u; lr is scaled."""
        own, step = self._largest(c.p, "spectral_param", c), self._largest(u, "spectral_update", c)
        if not is_vector(u):
            c.scale_lr(torch.where((own > 0) & (step > 0), own * h["tau"] / (step * c.lr), 1.0).clamp_max(1.0))
        return u

    def _largest(self, x: Tensor, slot: str, c: Context) -> Tensor:
        """Return σ₁(x), and keep its singular vector."""
        v = c.load(slot)
        if is_vector(x):
            return c.save(slot, v)
        matrix = _tall(x)
        for _ in range(self.iterations):
            w = matrix.mT @ (matrix @ v)
            length = torch.linalg.vector_norm(w)
            v = torch.where(length > 0, w / length, v)
        return torch.linalg.vector_norm(matrix @ c.save(slot, v))


def _tall(x: Tensor) -> Tensor:
    """The matrix (O, rest) with its smaller side last."""
    matrix = x.flatten(1)
    return matrix if matrix.shape[0] >= matrix.shape[1] else matrix.mT


def _anywhere(p: Tensor) -> Tensor:
    """A unit vector in a direction that no matrix knows; the same for every tensor of one shape, and in every run."""
    if is_vector(p):
        return p.new_zeros(())
    side = _tall(p).shape[1]
    v = torch.randn(side, generator=generator("spectral bound", side), dtype=torch.float64)
    return (v / torch.linalg.vector_norm(v)).to(p)
