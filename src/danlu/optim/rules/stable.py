"""Stable weight decay: AdamS and SGDS."""

from __future__ import annotations

from danlu.optim import decay
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.optim.rules.sgd import sgd
from danlu.ranges import Beta, Fraction, NonNegative, Positive

__all__ = ["SGDS", "AdamS", "adams", "sgds"]


@preset(lr=1e-3, source="Xie et al. 2020 (Stable Weight Decay), arXiv:2011.11152; the authors' AdamS")
def adams(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 5e-4,
    amsgrad: bool = False,
    *,
    decay_eps: NonNegative = 1e-8,
) -> Rule:
    """p ← (1 − lr·λ/(√v̄ + ε'))·p − lr·m̂/(√v̂ + ε), v̄ the mean of v̂ over all elements: Adam with stable weight decay.

    λ has the unit of SGD's L2. ``decay_eps`` is ε', which the authors do not have. 8 bytes per parameter, 12 with ``amsgrad``.
    """
    return adam(betas, eps, 0.0, amsgrad).but(decay=decay.Stable(weight_decay, decay_eps))


@preset(lr=1e-3, source="Xie et al. 2020 (Stable Weight Decay), arXiv:2011.11152; the authors' SGDS")
def sgds(momentum: Beta = 0.9, dampening: Fraction = 0.0, weight_decay: NonNegative = 5e-4, nesterov: bool = False) -> Rule:
    """p ← (1 − lr·λ·(1 − d)/(1 − μ))·p − lr·b: decoupled decay, as much longer as momentum makes the step.

    λ has the unit of SGD's L2. 4 bytes per parameter, 0 without momentum.
    """
    rate = weight_decay * (1.0 - dampening) / (1.0 - momentum)
    return sgd(momentum, dampening, 0.0, nesterov).but(decay=decay.Decoupled(rate))


class AdamS(DropIn, preset=adams):
    """Adam with stable weight decay, with torch.optim.Adam's arguments."""


class SGDS(DropIn, preset=sgds):
    """SGD with stable weight decay, with torch.optim.SGD's arguments."""
