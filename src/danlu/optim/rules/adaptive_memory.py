"""Adaptive memory momentum: SGD and AdamW that solve for their β."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AMSGD", "AMAdamW", "am_adamw", "am_sgd"]


@preset(lr=1e-2, source="arXiv:2510.04988")
def am_sgd(beta_max: Beta = 0.9, weight_decay: NonNegative = 0.0, *, pull: NonNegative = 0.1) -> Rule:
    """p ← p − lr·d, d ← ((β + λ)·d + (1 − β)·g)/(1 + λ), with L2 decay: β in [0, β_max] is solved for, one for the model.

    `pull` is λ. The scale is that of an average: compare with ``sgd_ema``. 4 bytes per parameter. Unverified: the paper's body
    was not at hand.
    """
    return Rule(direction.AdaptiveMemory(pull, beta_max), decay=decay.L2(weight_decay))


@preset(lr=1e-3, source="arXiv:2510.04988")
def am_adamw(
    betas: tuple[Beta, Beta] = (0.89, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 1e-2,
    *,
    pull: NonNegative = 0.1,
) -> Rule:
    """p ← (1 − lr·w)·p − lr·d/P, P = (1 − β_max·Πβᵢ)·(√v̂ + ε): AdamW whose first β is solved for, for each tensor.

    ``betas[0]`` is β_max, the longest memory; 0.89 = 0.9 − 0.1·λ at λ = `pull` = 0.1. 8 bytes per parameter. Unverified: the
    paper's body was not at hand.
    """
    return Rule(
        moments={"exp_avg_sq": moment.Ema(betas[1], moment.square)},
        direction=direction.ScaledMemory(pull, betas[0], eps, weight_decay),
        decay=decay.Decoupled(weight_decay),
    )


class AMSGD(DropIn, preset=am_sgd):
    """Adaptive-memory SGD with the argument order of torch's optimizers."""


class AMAdamW(DropIn, preset=am_adamw):
    """Adaptive-memory AdamW with the argument order of torch's optimizers."""
