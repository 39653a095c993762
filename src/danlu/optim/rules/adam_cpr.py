"""Adam with constrained parameter regularisation."""

from __future__ import annotations

from danlu.optim import decay
from danlu.optim.decay.constrained import BoundStart, Steps
from danlu.optim.decay.regularizer import Regularizer
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AdamCPR", "adam_cpr"]


@preset(lr=1e-3, source="Franke et al. 2023 (CPR), arXiv:2311.09058")
def adam_cpr(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    amsgrad: bool = False,
    *,
    kappa: NonNegative = 1.0,
    norm: Regularizer = "l2",
    start: BoundStart = "inflection",
    kappa_update: NonNegative = 1.0,
    warmup: Steps = 1000,
    every: Steps = 200,
    overshoot: bool = False,
) -> Rule:
    """p ← p − lr·m̂/(√v̂ + ε), then p ← p − λ·∇R(p) while R(p) is above the tensor's own bound: Adam without a decay to tune.

    See `decay.Constrained`. The bound belongs on the weights of layers: give biases, gains and embeddings ``kappa_update=0``.
    8 bytes per parameter, 12 with ``amsgrad``, and up to four numbers per tensor.
    """
    constraint = decay.Constrained(kappa, norm, start, kappa_update, warmup, every, overshoot)
    return adam(betas, eps, 0.0, amsgrad).but(decay=constraint)


class AdamCPR(DropIn, preset=adam_cpr):
    """Adam with constrained parameter regularisation."""
