"""Yogi."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["Yogi", "yogi"]


@preset(lr=1e-2, source="Zaheer et al. 2018, NeurIPS 31")
def yogi(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-3,
    weight_decay: NonNegative = 0.0,
    *,
    initial_accumulator_value: NonNegative = 1e-6,
    debias: bool = False,
) -> Rule:
    """p ← p − lr·m/(√v + ε), v ← v − (1 − β₂)·sign(v − g²)·g², with L2 decay.

    Adam whose denominator cannot fall faster than it rises. ``debias`` divides m by 1 − β₁ᵗ and v by 1 − β₂ᵗ, as ports do; with
    the paper's form, this default, the first steps are short. 8 bytes per parameter. Unverified: neither the paper's text nor
    another implementation was at hand.
    """
    return Rule(
        moments={
            "exp_avg": moment.Ema(betas[0], debias=debias),
            "exp_avg_sq": moment.Additive(betas[1], initial_accumulator_value, debias),
        },
        direction=direction.Ratio(eps),
        decay=decay.L2(weight_decay),
    )


class Yogi(DropIn, preset=yogi):
    """Yogi with the argument order of torch's optimizers."""
