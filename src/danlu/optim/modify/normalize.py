"""The direction divided by its own length: of a tensor, or of all tensors together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.norms import norm_squared, normalized
from danlu.optim.piece import Measured, Modify
from danlu.optim.values import Scalars, Scope, Sight, Tick
from danlu.ranges import Positive

__all__ = ["Normalize", "NormalizeAll"]


@piece(source="Jelassi et al. 2022 (nSGDA), arXiv:2210.04319; source 003, repaired")
@dataclass(frozen=True)
class Normalize(Modify):
    """u ← u/(‖u‖₂ + ε), the norm of each tensor: every tensor moves by lr, whatever its size and its gradient's.

    A scalar moves as far as a matrix of ten million, whose elements move lr/√n each. A zero direction stays zero. No state.

    Args:
        eps: ε, in the unit of u.
    """

    eps: Positive = 1e-8

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """ε."""
        return {"eps": self.eps}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the direction at length 1."""
        return normalized(u, h["eps"])


@piece(source="Jelassi et al. 2022 (nSGDA), arXiv:2210.04319")
@dataclass(frozen=True)
class NormalizeAll(Modify, Measured):
    """u ← u/(‖u‖₂ + ε), one norm over all tensors of the optimizer: the whole step has length lr and keeps its direction.

    Give each player of a game its own optimizer. Unverified: whether the paper's headline rule has one norm per network or per
    layer. No state.

    Args:
        eps: ε, in the unit of u.
    """

    eps: Positive = 1e-8

    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return Σu² of one tensor."""
        return norm_squared(c.u)

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, Tensor]:
        """Return 1/(‖u‖ + ε)."""
        return {"total": 1.0 / (total.sqrt() + self.eps)}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the direction times the common factor."""
        return u * h["total"]
