"""AdEMAMix."""

from __future__ import annotations

from danlu.optim import moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adamw
from danlu.ranges import Beta, NonNegative, Positive, Steps

__all__ = ["AdEMAMix", "ademamix"]


@preset(lr=1e-3, source="Pagliardini, Ablin, Grangier 2024, arXiv:2409.03137; apple/ml-ademamix")
def ademamix(
    betas: tuple[Beta, Beta, Beta] = (0.9, 0.999, 0.9999),
    alpha: NonNegative = 2.0,
    beta3_warmup: Steps = 0,
    alpha_warmup: Steps = 0,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·(m̂ + α·s)/(√v̂ + ε): AdamW with a second, very slow average s of the gradient.

    The warm-ups are in steps, usually the whole training; 0 is off. ``alpha=0`` is AdamW. 12 bytes per parameter.
    """
    rule = adamw(betas[:2], eps, weight_decay)
    mixed = moment.SlowMix(rule.moments["exp_avg"], betas[2], alpha, alpha_warmup, beta3_warmup, betas[0])
    return rule.but(moments={**rule.moments, "exp_avg": mixed})


class AdEMAMix(DropIn, preset=ademamix):
    """AdEMAMix with its authors' arguments."""
