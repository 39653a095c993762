"""The second moment of the momentum instead of the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.bias import corrections
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalars, Signal, Tick, square
from danlu.ranges import Beta, Positive

__all__ = ["MomentumSquare"]


@piece(source="Wang et al. 2021 (AdaMomentum), arXiv:2106.11514; third-party codes, which agree")
@dataclass(frozen=True)
class MomentumSquare(Moment):
    """v ← β·v + (1 − β)·m² + ε from v₀ = 0, read as v/(1 − βᵗ): m is the rule's first moment, new and not bias-corrected.

    ε enters at every step, so v tends to ε/(1 − β) at least, and a direction needs none of its own. Where the gradient's noise
    averages out in m, v is smaller than Adam's and the step larger. In a rule without a momentum m is g. 4 bytes per parameter.

    Args:
        beta: memory.
        eps: ε, in the unit of g².
    """

    beta: Beta
    eps: Positive = 1e-8

    @property
    def signal(self) -> Signal:
        """The unit of g²."""
        return square

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weight of m², ε, and the bias correction with its square root."""
        return {"keep": self.beta, "new": 1.0 - self.beta, "eps": self.eps, **corrections(self.beta**tick.t)}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return β·v + (1 − β)·m² + ε."""
        m = c.numerator().raw
        return {name: old[name] * h["keep"] + m * m * h["new"] + h["eps"]}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return v with its bias correction."""
        return Reading(new[name], square, h["debias"], h["root_debias"])
