"""The trust ratio: a step in proportion to the size of the parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.units import is_vector
from danlu.optim.piece import Modify
from danlu.optim.values import Scalars, Scope, Sight, Tick
from danlu.ranges import Interval, NonNegative, Positive

__all__ = ["Bound", "TrustRatio"]

Bound = Annotated[float, Interval(0.0, math.inf)]


@piece(source="You et al. 2017 (LARS), arXiv:1708.03888; You et al. 2019 (LAMB), arXiv:1904.00962; timm")
@dataclass(frozen=True)
class TrustRatio(Modify):
    """u ← r·(u + λp), r = min(c·φ(‖p‖)/(‖u‖ + λ‖p‖ + ε), ceiling): each tensor moves by lr·c of its own norm, whatever u's.

    φ clamps to `bounds`. r = 1 where either norm is 0, so that a zero tensor can leave zero; a tensor that is a vector once its
    sides of length 1 are dropped (bias, gain) keeps r = 1 too. lr counts relative changes then: for those vectors it is
    unit-free only if u is. No state.

    Args:
        coefficient: c; 0.001 for LARS, 1 for LAMB.
        weight_decay: λ of LARS, which adds the norms of u and λp; LAMB takes the norm of their sum, with
            `AddPenalty` before this piece.
        eps: ε.
        bounds: the least and the largest ‖p‖ that count.
        ceiling: largest r; 1 is LAMBC.
        adapt_vectors: give vectors and scalars a ratio as well (timm's ``always_adapt``, optax).

    Raises:
        ValueError: if the bounds are not in order.
    """

    coefficient: Positive = 1.0
    weight_decay: NonNegative = 0.0
    eps: NonNegative = 0.0
    bounds: tuple[NonNegative, Bound] = (0.0, math.inf)
    ceiling: Bound = math.inf
    adapt_vectors: bool = False

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Rows against the rest."""
        return "rows"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bounds[0] > self.bounds[1]:
            raise ValueError(f"modify.TrustRatio: bounds must be in order, got {self.bounds!r}")

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """c, λ, ε and the three bounds."""
        lo, hi = self.bounds
        sizes = {"lo": lo, "hi": hi, "ceiling": self.ceiling}
        return {"coefficient": self.coefficient, "decay": self.weight_decay, "eps": self.eps, **sizes}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return r·(u + λp)."""
        step = u + c.p * h["decay"]
        if is_vector(u) and not self.adapt_vectors:
            return step
        size, length = torch.linalg.vector_norm(c.p), torch.linalg.vector_norm(u)
        bounded = size.clamp_min(h["lo"]).clamp_max(h["hi"])
        ratio = bounded * h["coefficient"] / (length + size * h["decay"] + h["eps"])
        return step * torch.where((size > 0) & (length > 0), ratio.clamp_max(h["ceiling"]), 1.0)
