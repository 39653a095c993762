"""Adamax."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["Adamax", "adamax"]


@preset(lr=2e-3, source="Kingma & Ba 2014, arXiv:1412.6980, section 7.1; torch.optim.Adamax")
def adamax(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    *,
    eps_outside: bool = False,
) -> Rule:
    """u ← max(β₂u, |g| + ε); p ← p − lr·m̂/u: Adam under the infinity norm, with no bias correction needed for u.

    The default puts ε into the maximum (torch, optax); ``eps_outside`` is m̂/(u + ε) with u ← max(β₂u, |g|) (source 000, Keras).
    8 bytes per parameter.
    """
    inside, outside = (0.0, eps) if eps_outside else (eps, 0.0)
    return Rule(
        moments={"exp_avg": moment.Ema(betas[0]), "exp_inf": moment.MaxDecay(betas[1], inside)},
        direction=direction.Ratio(outside),
        decay=decay.L2(weight_decay),
    )


class Adamax(DropIn, preset=adamax):
    """Drop-in for torch.optim.Adamax."""
