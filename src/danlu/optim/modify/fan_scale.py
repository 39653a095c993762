"""Steps in proportion to the weights that a layer of this width begins with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.norms import rms
from danlu.optim.formulas.units import is_vector
from danlu.optim.piece import Modify
from danlu.optim.values import Scalars, Scope, Sight, Tick
from danlu.ranges import Positive

__all__ = ["FanScale"]


@piece(source="docs/furnace.md")
@dataclass(frozen=True)
class FanScale(Modify):
    """u ← u/√n, n the elements of p[0] (the fan-in): lr is then a share of the weights that a layer begins with. No state.

    Initial weights of a layer with n inputs have an RMS of about 1/√n by any recipe, and steps of lr/√n change its outputs by
    about the same whatever its width. Unlike `ParameterScale`'s they do not grow with the weights: of a direction that keeps
    its full size, as Muon's does, weights and relative steps would grow together. A vector or scalar, which has no fan-in, is
    scaled as by `ParameterScale`: u ← max(ε, RMS(p))·u.

    Args:
        eps: ε, the least scale of a vector, in the unit of p.
    """

    eps: Positive = 1e-3

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """The length of a row."""
        return "rows"

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """ε."""
        return {"eps": self.eps}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the scaled direction."""
        if is_vector(c.p):
            return u * rms(c.p).clamp_min(h["eps"])
        fan_in = math.prod(c.p.shape[1:])
        return u / fan_in**0.5 if fan_in else u
