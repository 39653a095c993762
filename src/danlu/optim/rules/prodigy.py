"""Prodigy."""

from __future__ import annotations

import math

from danlu.optim import moment, rate
from danlu.optim.drop_in import DropIn
from danlu.optim.rate.prodigy import Growth
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["Prodigy", "prodigy"]


@preset(lr=1.0, source="Mishchenko & Defazio 2023, arXiv:2306.06101; prodigyopt 1.1.2")
def prodigy(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    beta3: Beta | None = None,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    decouple: bool = True,
    use_bias_correction: bool = False,
    safeguard_warmup: bool = False,
    d0: Positive = 1e-6,
    d_coef: Positive = 1.0,
    growth_rate: Growth = math.inf,
) -> Rule:
    """p ← p − d·lr·m/(√v + dε) with m, v of d·g: Adam that estimates its own lr, d, from how far the gradients have led.

    lr stays 1, times a schedule. ``use_bias_correction`` is optax's form. The estimate is the group's ``shared["d"]``. β₃ of
    the estimate is √β₂ unless given. 16 bytes per parameter.
    """
    distance = rate.Prodigy(d0, math.sqrt(betas[1]) if beta3 is None else beta3, d_coef, growth_rate, safeguard_warmup)
    return adam(betas, eps, weight_decay, decoupled_weight_decay=decouple).but(
        rate=(rate.Debias(*betas), distance) if use_bias_correction else (distance,),
        moments={
            "exp_avg": moment.ByDistance(moment.Ema(betas[0], debias=False)),
            "exp_avg_sq": moment.ByDistance(moment.Ema(betas[1], moment.square, debias=False)),
        },
    )


class Prodigy(DropIn, preset=prodigy):
    """Prodigy with the authors' arguments."""
