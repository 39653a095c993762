"""EAdam."""

from __future__ import annotations

from danlu.optim import direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["EAdam", "eadam"]


@preset(lr=1e-3, source="Yuan & Gao 2020, arXiv:2011.02150")
def eadam(betas: tuple[Beta, Beta] = (0.9, 0.999), eps: Positive = 1e-8, weight_decay: NonNegative = 0.0) -> Rule:
    """p ← p − lr·m̂/√v̂, v ← β₂v + (1 − β₂)g² + ε, with L2 decay: Adam with ε stored in v instead of beside its root.

    ε accumulates to ε/(1 − β₂): the floor of √v̂ goes from √(ε/(1 − β₂)) at the first step to the same in the end, 3e-3 with the
    defaults, where Adam's is 1e-8. 8 bytes per parameter.
    """
    lifted = moment.Lifted(moment.Ema(betas[1], moment.square), eps)
    rule = adam(betas, weight_decay=weight_decay)
    return rule.but(moments={**rule.moments, "exp_avg_sq": lifted}, direction=direction.Ratio(0.0))


class EAdam(DropIn, preset=eadam):
    """EAdam with the argument order of torch's optimizers."""
