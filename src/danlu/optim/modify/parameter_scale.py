"""Steps in proportion to the size of the parameter: Adafactor's relative step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.norms import rms
from danlu.optim.piece import Modify
from danlu.optim.values import Scalars, Scope, Sight, Tick
from danlu.ranges import Positive

__all__ = ["ParameterScale"]


@piece(source="Shazeer & Stern 2018 (Adafactor), arXiv:1804.04235, section 8")
@dataclass(frozen=True)
class ParameterScale(Modify):
    """u ← max(ε₂, RMS(p))·u: lr is then the relative size of a step, the same for large and for small tensors. No state.

    RMS(p) is that of the old parameter, one number per tensor; of a 0-d tensor it is |p|.

    Args:
        eps: ε₂, the least scale, in the unit of p: what a tensor that starts at zero moves by.
        decay: scale a decoupled decay as well, p ← (1 − lr·max(ε₂, RMS(p))·λ)·p (transformers); False is torch's.
    """

    eps: Positive = 1e-3
    decay: bool = False

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    @property
    def scales_lr(self) -> bool:
        """Where the decay follows."""
        return self.decay

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """ε₂."""
        return {"eps": self.eps}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the scaled update, or scale lr."""
        scale = rms(c.p).clamp_min(h["eps"])
        if not self.decay:
            return u * scale
        c.scale_lr(scale)
        return u
