"""Adam with AdaNorm."""

from __future__ import annotations

from danlu.optim import moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AdaNorm", "adanorm"]


@preset(lr=1e-3, source="Dubey et al. 2022 (AdaNorm), arXiv:2210.06364")
def adanorm(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    r: Beta = 0.95,
    *,
    decoupled_weight_decay: bool = False,
    eps_hat: bool = False,
    eps_in_state: bool = False,
) -> Rule:
    """p ← p − lr·m̂/(√v̂ + ε), m of g·max(1, e/‖g‖), v of g²: Adam whose first moment sees no gradient shorter than usual.

    ``r`` is the memory of e, the usual length. ``eps_in_state`` also adds ε to the stored v at every step, as the authors'
    code does. 8 bytes per parameter and one number per tensor.
    """
    rule = adam(betas, eps, weight_decay, decoupled_weight_decay=decoupled_weight_decay, eps_hat=eps_hat)
    first, second = rule.moments.values()
    second = moment.Lifted(second, eps) if eps_in_state else second
    return rule.but(moments={"exp_avg": moment.AdaNorm(first, r), "exp_avg_sq": second})


class AdaNorm(DropIn, preset=adanorm):
    """Adam with AdaNorm, with torch.optim.Adam's first arguments."""
