"""Adam with D-Adaptation."""

from __future__ import annotations

import math

from danlu.optim import moment, rate
from danlu.optim.drop_in import DropIn
from danlu.optim.rate.prodigy import Growth
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["DAdaptAdam", "dadapt_adam"]


@preset(lr=1.0, source="Defazio & Mishchenko 2023, arXiv:2301.07733; dadaptation 3.2")
def dadapt_adam(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    decouple: bool = False,
    use_bias_correction: bool = False,
    d0: Positive = 1e-6,
    growth_rate: Growth = math.inf,
) -> Rule:
    """p ← p − m/(√v + ε) with m of d·lr·g: Adam that estimates its own lr, d, a lower bound of the distance to the solution.

    lr stays 1, times a schedule. ``use_bias_correction`` is optax's form. The estimate is the group's ``shared["d"]``. 12 bytes
    per parameter.
    """
    distance = rate.DAdapt(d0, math.sqrt(betas[1]), eps, growth_rate)
    return adam(betas, eps, weight_decay, decoupled_weight_decay=decouple).but(
        rate=(rate.Debias(*betas), distance) if use_bias_correction else (distance,),
        moments={
            "exp_avg": moment.ByRate(moment.Ema(betas[0], debias=False)),
            "exp_avg_sq": moment.Ema(betas[1], moment.square, debias=False),
        },
    )


class DAdaptAdam(DropIn, preset=dadapt_adam):
    """Adam with D-Adaptation and the authors' arguments."""
