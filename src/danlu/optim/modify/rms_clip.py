"""Update clipping by the root mean square: Adafactor's on the update, StableAdamW's on the learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.norms import rms, shrinkage
from danlu.optim.piece import Modify
from danlu.optim.values import Scalars, Scope, Sight, Tick
from danlu.ranges import Interval, NonNegative

__all__ = ["RmsBound", "RmsClip", "StableClip"]

RmsBound = Annotated[float, Interval(0.0, math.inf, "right")]


@piece(source="Shazeer & Stern 2018 (Adafactor), arXiv:1804.04235")
@dataclass(frozen=True)
class RmsClip(Modify):
    """u ← u/max(1, RMS(u)/d): a tensor's update is at most d in root mean square. No state.

    Args:
        threshold: d; inf is off.
    """

    threshold: RmsBound = 1.0

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The threshold."""
        return {"threshold": self.threshold}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the clipped update."""
        return u * shrinkage(rms(u), h["threshold"])


@piece(source="Wortsman et al. 2023 (StableAdamW), arXiv:2304.13013; optimi; timm for the other two settings")
@dataclass(frozen=True)
class StableClip(Modify):
    """lr ← lr/max(1, RMS(g/max(√v̂, ε))/d) per tensor: it slows down when gradients outgrow their second moment.

    It looks at g, not at m̂, and so acts one step before the momentum carries a spike. At the first step the ratio is 1 wherever
    g is not 0. No state; needs a second moment.

    Args:
        threshold: d; inf is off.
        eps: ε, in the unit of g.
        floor: ε is a floor of √v̂; False adds it (timm).
        decay: a decoupled decay shrinks with lr; False leaves it alone (timm).
    """

    threshold: RmsBound = 1.0
    eps: NonNegative = 1e-8
    floor: bool = True
    decay: bool = True

    scope: ClassVar[Scope] = "tensor"
    wants_scale: ClassVar[bool] = True

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    @property
    def scales_lr(self) -> bool:
        """Where the decay follows."""
        return self.decay

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The threshold and ε."""
        return {"threshold": self.threshold, "eps": self.eps}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return u, and slow lr down; or return u, scaled likewise."""
        root = c.denominator().root
        unit = c.g / (root.clamp_min(h["eps"]) if self.floor else root + h["eps"])
        factor = shrinkage(rms(unit), h["threshold"])
        if not self.decay:
            return u * factor
        c.scale_lr(factor)
        return u
