"""Ranger."""

from __future__ import annotations

from danlu.optim import average, grad
from danlu.optim.drop_in import DropIn
from danlu.optim.formulas.rectification import Rectifiable, Threshold
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.radam import radam
from danlu.ranges import Beta, Count, Fraction, NonNegative, Positive

__all__ = ["Ranger", "ranger"]


@preset(lr=1e-3, source="Wright 2019 (Ranger), of arXiv:1908.03265, arXiv:1907.08610 and arXiv:2004.01461")
def ranger(
    betas: tuple[Beta, Rectifiable] = (0.95, 0.999),
    eps: Positive = 1e-5,
    weight_decay: NonNegative = 0.0,
    k: Count = 6,
    alpha: Fraction = 0.5,
    *,
    threshold: Threshold = 5.0,
    conv_only: bool = False,
) -> Rule:
    """p ← `radam` on centralised gradients, and p ← φ ← φ + α·(p − φ) after every k-th step: RAdam under Lookahead.

    Decoupled decay, which centralisation does not see. Evaluate inside ``with optimizer.averaged():``. 12 bytes per parameter.

    Unverified as a whole: its parts meet other implementations and its author's code was read, but no trajectories were at
    hand.
    """
    rule = radam(betas, eps, weight_decay, decoupled_weight_decay=True, threshold=threshold)
    return rule.but(grad=(grad.Centralize(conv_only),), average=average.Lookahead(k, alpha))


class Ranger(DropIn, preset=ranger):
    """Ranger with the argument order of torch's optimizers."""
