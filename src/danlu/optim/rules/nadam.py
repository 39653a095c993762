"""NAdam: Dozat's form with the momentum schedule, and the simple one."""

from __future__ import annotations

from danlu.optim import moment
from danlu.optim.drop_in import DropIn
from danlu.optim.moment.lead import MomentumDecay
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["NAdam", "nadam", "nadam_simple"]


@preset(lr=2e-3, source="Dozat 2016 (ICLR workshop); torch.optim.NAdam")
def nadam(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    momentum_decay: MomentumDecay = 4e-3,
    decoupled_weight_decay: bool = False,
) -> Rule:
    """p ← p − lr·(μₜ₊₁·m/(1 − Pₜμₜ₊₁) + (1 − μₜ)·g/(1 − Pₜ))/(√v̂ + ε), μₜ = β₁(1 − ½·0.96^(tψ)), P = Πμ.

    ``momentum_decay`` is ψ: torch's 4e-3; 1 is Keras' schedule; inf is no schedule (optax). 8 bytes per parameter.
    """
    lead = moment.Lead(moment.Ema(betas[0], debias=False), betas[0], momentum_decay)
    rule = adam(betas, eps, weight_decay, decoupled_weight_decay=decoupled_weight_decay)
    return rule.but(moments={**rule.moments, "exp_avg": lead})


@preset(lr=2e-3, source="source 000; timm NAdamW (MLCommons)")
def nadam_simple(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    decoupled_weight_decay: bool = False,
) -> Rule:
    """p ← p − lr·((β₁m + (1 − β₁)g)/(1 − β₁ᵗ))/(√v̂ + ε): both terms share one bias correction.

    Nesterov's look-ahead is the average read with the shorter memory β₁². 8 bytes per parameter.
    """
    rule = adam(betas, eps, weight_decay, decoupled_weight_decay=decoupled_weight_decay)
    return rule.but(moments={**rule.moments, "exp_avg": moment.Ema(betas[0], peek=betas[0] ** 2)})


class NAdam(DropIn, preset=nadam):
    """Drop-in for torch.optim.NAdam."""
