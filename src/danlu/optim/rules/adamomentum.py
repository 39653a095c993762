"""AdaMomentum."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AdaMomentum", "adamomentum"]


@preset(lr=1e-3, source="Wang et al. 2021, arXiv:2106.11514; third-party codes, which agree")
def adamomentum(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    *,
    decoupled_weight_decay: bool = False,
) -> Rule:
    """v ← β₂v + (1 − β₂)m² + ε, p ← p − lr·m̂/√v̂: Adam whose denominator is that of the momentum, with L2 decay.

    ε accumulates in v, to ε/(1 − β₂). Third-party codes differ in the decay: L2 of 5e-4 by default, or decoupled; here none by
    default. 8 bytes per parameter.
    """
    return Rule(
        moments={"exp_avg": moment.Ema(betas[0]), "exp_avg_sq": moment.MomentumSquare(betas[1], eps)},
        direction=direction.Ratio(0.0),
        decay=decay.Decoupled(weight_decay) if decoupled_weight_decay else decay.L2(weight_decay),
    )


class AdaMomentum(DropIn, preset=adamomentum):
    """AdaMomentum with the argument order of torch's optimizers."""
