"""Normalised gradients: of each tensor, of each output unit, of all together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.norms import normalized
from danlu.optim.formulas.units import units_of
from danlu.optim.grad.global_norm import AbstractGlobalNorm
from danlu.optim.piece import GradPiece
from danlu.optim.values import Scalars, Scope, Sight, Tick
from danlu.ranges import Positive

__all__ = ["Normalize", "NormalizeAll", "Part", "Size"]

Part = Literal["tensor", "unit"]
Size = Literal["norm", "std"]


@piece(source="normalised gradient descent; source 003's snippet, which is not GradNorm")
@dataclass(frozen=True)
class Normalize(GradPiece):
    """g ← g/(‖g‖ + ε) for each tensor, or each output row of it, by itself: lr becomes the length of its step.

    A zero gradient stays zero. Under Adam it is not void: the scale changes from step to step and v remembers. Dividing by the
    standard deviation instead (pytorch_optimizer) makes the step √n times as long; the mean stays in. No state.

    Args:
        by: divide by the "norm", or by the standard deviation "std" (n − 1), which a single element does not have: it passes.
        per: what has norm 1 afterwards: each "tensor", or each "unit" (an output row; vectors whole).
        eps: ε, in the unit of g.
    """

    by: Size = "norm"
    per: Part = "tensor"
    eps: Positive = 1e-8

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Rows against the rest."""
        return "rows"

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """ε."""
        return {"eps": self.eps}

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the normalised gradient."""
        units = units_of(g) if self.per == "unit" else g.reshape(1, -1)
        if self.by == "norm":
            return normalized(units, h["eps"], dim=1).view_as(g)
        if units.shape[1] > 1 and g.numel():
            return (units / (units.std(dim=1, keepdim=True) + h["eps"])).view_as(g)
        return g


@piece(source="normalised gradient descent; optax.normalize_by_update_norm")
@dataclass(frozen=True)
class NormalizeAll(AbstractGlobalNorm):
    """g ← g/(‖g‖ + ε) with the norm over all tensors of the optimizer: the whole step has length lr.

    A zero gradient stays zero. No state; one sum over all tensors per step.

    Args:
        eps: ε, in the unit of g.
    """

    eps: Positive = 1e-8

    def respond(self, norm: float, tick: Tick) -> Mapping[str, float]:
        """Return 1/(‖g‖ + ε)."""
        return {"total": 1.0 / (norm + self.eps)}
