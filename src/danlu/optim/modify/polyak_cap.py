"""A cap on the step where a model of the loss would reach its lower bound: Polyak's step size, with momentum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Measured, Modify
from danlu.optim.values import Need, Scalars, Tick
from danlu.ranges import Beta, Interval, NonNegative

__all__ = ["Bound", "PolyakCap"]

Bound = Annotated[float, Interval(-math.inf, math.inf)]


@piece(source="Schaipp et al. 2023 (MoMo), arXiv:2305.07583, algorithms 1 and 3; fabian-sp/MoMo")
@dataclass(frozen=True)
class PolyakCap(Modify, Measured):
    """lr ← min(lr, [f̄ − b + ⟨m, p⟩ − γ̄]₊/⟨m, u⟩) for the step, f̄ and γ̄ averages of the loss and of ⟨g, p⟩ with m's weights.

    What stands over the fraction is where the averaged linear models of the last losses are at p, above their lower bound b; a
    longer step would lead the model below b. ⟨m, u⟩ is ‖m‖² for u = m, and ‖m‖² in the norm of 1/D for u = m/D. Without memory
    (β = 0) it is Polyak's stochastic step size, capped by lr. The sums run over all tensors of the optimizer, and lr as it is
    given still counts for decay. Where u is 0 the cap is lr.

    Pass the mean loss of the whole batch (after accumulation, over all ranks), before regularisation. A loss that is not finite
    leaves f̄ as it was. Two host numbers per group. Departures: ⟨g, p⟩ is averaged over all tensors at once, so one that has no
    gradient in a step counts as 0; the authors' estimate of b on the way (``use_fstar``) is not here.

    Args:
        beta: β, the memory of m, whose first weights f̄ and γ̄ take.
        bound: b, a lower bound of the loss.
        debias: whether m is divided by 1 − βᵗ; else it starts as the first gradient.
        shrink: λ of a `decay.Proximal` beside it, which the model then knows of: f̄ − b − γ̄ counts 1 + lr·λ times.
        num: name of the moment to use instead of the first one.
    """

    beta: Beta = 0.9
    bound: Bound = 0.0
    debias: bool = True
    shrink: NonNegative = 0.0
    num: str | None = None

    needs: ClassVar[frozenset[Need]] = frozenset({"grad", "loss"})
    descends: ClassVar[bool] = True

    def shared(self) -> Mapping[str, float]:
        """The averages of the loss and of ⟨g, p⟩."""
        return {"polyak_loss": 0.0, "polyak_inner": 0.0}

    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return ⟨m, p⟩, ⟨g, p⟩ and ⟨m, u⟩ of one tensor."""
        m = c.numerator(self.num).hat
        return torch.stack([(a * b).sum(dtype=torch.float64) for a, b in ((m, c.p), (c.g, c.p), (m, c.u))])

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, float]:
        """Return the factor on lr, and the new averages."""
        along, inner, size = total.tolist()
        weight = 1.0 if tick.t == 1 else (1.0 - self.beta) / (1.0 - self.beta**tick.t if self.debias else 1.0)
        loss, mean = tick.shared["polyak_loss"], tick.shared["polyak_inner"]
        loss += weight * (tick.loss - loss) if math.isfinite(tick.loss) else 0.0
        mean += weight * (inner - mean)
        above = (1.0 + tick.lr * self.shrink) * (loss - self.bound - mean) + along
        factor = min(1.0, max(above, 0.0) / (tick.lr * size)) if tick.lr * size > 0.0 else 1.0
        return {"total": factor, "polyak_loss": loss, "polyak_inner": mean}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the direction times the factor."""
        return u * h["total"]
