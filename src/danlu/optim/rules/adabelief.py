"""AdaBelief."""

from __future__ import annotations

from danlu.optim import modify, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.formulas.rectification import Rectifiable
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AdaBelief", "adabelief"]


@preset(lr=1e-3, source="Zhuang et al. 2020, arXiv:2010.07468; adabelief-pytorch")
def adabelief(
    betas: tuple[Beta, Rectifiable] = (0.9, 0.999),
    eps: Positive = 1e-16,
    weight_decay: NonNegative = 0.0,
    decoupled_weight_decay: bool = True,
    *,
    rectify: bool = True,
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·m̂/(√ŝ + ε), s ← β₂s + (1 − β₂)(g − m)² + ε.

    Long steps where the gradient is what its average foretold. A noise-free coordinate ends at a gain of 1/√(1000·ε): 3e6 with
    the authors' ε (for Transformers and GANs), 300 with 1e-8 (their choice for CNNs). ``rectify`` is `radam`'s factor, with raw
    steps of m̂ before it sets in. 8 bytes per parameter.
    """
    belief = moment.Lifted(moment.Deviation(moment.Ema(betas[1], moment.square)), eps)
    rule = adam(betas, eps, weight_decay, decoupled_weight_decay=decoupled_weight_decay)
    return rule.but(
        moments={"exp_avg": rule.moments["exp_avg"], "exp_avg_var": belief},
        modify=(modify.Rectify(betas[1]),) if rectify else (),
    )


class AdaBelief(DropIn, preset=adabelief):
    """AdaBelief with the argument order of torch's optimizers."""
