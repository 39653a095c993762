"""Positive-negative momentum: PNM and AdaPNM."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["PNM", "AdaPNM", "adapnm", "pnm"]


@preset(lr=1e-3, source="Xie et al. 2021, arXiv:2103.17182; the authors' code")
def pnm(
    betas: tuple[Beta, NonNegative] = (0.9, 1.0), weight_decay: NonNegative = 0.0, *, decoupled_weight_decay: bool = True
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·((1 + β₀)m⁺ − β₀m⁻)/√((1 + β₀)² + β₀²): SGD with positive-negative momentum.

    ``betas`` are β and β₀. Each m is an average: lr is that of `sgd_ema`, ten times that of `sgd` at β = 0.9. 8 bytes per
    parameter.
    """
    return Rule(
        moments={"momentum": moment.PositiveNegative(*betas)},
        direction=direction.Plain(),
        decay=decay.Decoupled(weight_decay) if decoupled_weight_decay else decay.L2(weight_decay),
    )


@preset(lr=1e-3, source="Xie et al. 2021, arXiv:2103.17182; the authors' code")
def adapnm(
    betas: tuple[Beta, Beta, NonNegative] = (0.9, 0.999, 1.0),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    amsgrad: bool = True,
    *,
    decoupled_weight_decay: bool = True,
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·((1 + β₀)m̂⁺ − β₀m̂⁻)/√((1 + β₀)² + β₀²)/(√v̂ + ε): Adam with positive-negative momentum.

    ``betas`` are β₁, β₂ and β₀; AMSGrad's maximum is on, as in the authors' class. 16 bytes per parameter, 12 without it.
    """
    rule = adam(betas[:2], eps, weight_decay, amsgrad, decoupled_weight_decay=decoupled_weight_decay)
    return rule.but(moments={**rule.moments, "exp_avg": moment.PositiveNegative(betas[0], betas[2], debias=True)})


class PNM(DropIn, preset=pnm):
    """PNM with the argument order of torch's optimizers."""


class AdaPNM(DropIn, preset=adapnm):
    """AdaPNM with the argument order of torch's optimizers."""
