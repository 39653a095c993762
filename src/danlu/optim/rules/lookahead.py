"""SGD under Lookahead."""

from __future__ import annotations

from danlu.optim import average
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.sgd import sgd
from danlu.ranges import Beta, Count, Fraction, NonNegative

__all__ = ["Lookahead", "lookahead"]


@preset(lr=1e-2, source="Zhang et al. 2019, arXiv:1907.08610")
def lookahead(
    k: Count = 5, alpha: Fraction = 0.5, *, momentum: Beta = 0.9, weight_decay: NonNegative = 0.0, nesterov: bool = False
) -> Rule:
    """p ← φ after every k-th step of `sgd`, where φ ← φ + α·(p − φ): slow weights that the fast ones return to.

    Over any other preset: ``create("adamw", ..., average=average.Lookahead(5, 0.5))``. The momentum goes on as it is. The
    authors' class has α = 0.8, their paper and most others 0.5. Evaluate inside ``with optimizer.averaged():``. 8 bytes per
    parameter.
    """
    return sgd(momentum, 0.0, weight_decay, nesterov).but(average=average.Lookahead(k, alpha))


class Lookahead(DropIn, preset=lookahead):
    """SGD with momentum under Lookahead."""
