"""Sharpness-aware minimization: the gradient is taken at the worst point nearby."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.norms import norm_squared
from danlu.optim.piece import Around
from danlu.optim.values import Scalars, Scope, Tick
from danlu.ranges import NonNegative

__all__ = ["Asam", "Sam"]

_TINY = 1e-12  # in the unit of g: keeps a zero gradient's displacement zero instead of nan


@piece(source="Foret et al. 2020 (SAM), arXiv:2010.01412; davda54/sam")
@dataclass(frozen=True)
class Sam(Around):
    """e = ρ·g/‖g‖ with the norm over all tensors of the optimizer: the loss's first-order worst point at distance ρ.

    Two evaluations a step. The norm is of the whole gradient that the closure leaves (of the mean loss, after any
    accumulation), so ρ does not depend on how a batch was cut. 4 bytes per parameter during the second evaluation.
    A plain closure moves BatchNorm statistics and draws dropout masks twice; that of `danlu.train.Update` does neither.

    Args:
        rho: ρ, in the unit of p; 0 is the inner rule at twice the price.
    """

    rho: NonNegative = 0.05

    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return Σg² of one tensor."""
        return norm_squared(c.g)

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, Tensor]:
        """Return ρ/‖g‖."""
        return {"total": self.rho / (total.sqrt() + _TINY)}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return e."""
        return c.g * h["total"]


@piece(source="Kwon et al. 2021 (ASAM), arXiv:2102.11600; SamsungLabs/ASAM; davda54/sam (adaptive) at eta=0")
@dataclass(frozen=True)
class Asam(Around):
    """e = ρ·T²g/‖T·g‖ with T = |p| + η and the norm over all tensors: `Sam` in units of each weight's own size.

    Rescaling the weights of a layer and its successor against each other does not change it. Otherwise as `Sam`.

    Args:
        rho: ρ, unit-free; about ten times that of `Sam`.
        eta: η, in the unit of p: what a weight at zero may still move. 0 is the form of davda54/sam.
        vectors: scale tensors of one dimension or none as well; False takes T = 1 there, the paper's treatment of biases.
    """

    rho: NonNegative = 0.5
    eta: NonNegative = 0.01
    vectors: bool = True

    scope: ClassVar[Scope] = "tensor"

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """η."""
        return {"eta": self.eta}

    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return Σ(T·g)² of one tensor."""
        return norm_squared(self._scaled(c.g, c.p, h))

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, Tensor]:
        """Return ρ/‖T·g‖."""
        return {"total": self.rho / (total.sqrt() + _TINY)}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return e."""
        return self._scaled(self._scaled(c.g, c.p, h), c.p, h) * h["total"]

    def _scaled(self, x: Tensor, p: Tensor, h: Scalars) -> Tensor:
        """Return T·x."""
        return x * (p.abs() + h["eta"]) if self.vectors or p.ndim > 1 else x
