"""Adam and AdamW."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["Adam", "AdamW", "adam", "adamw"]


@preset(lr=1e-3, source="Kingma & Ba 2014, arXiv:1412.6980; torch.optim.Adam")
def adam(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    amsgrad: bool = False,
    *,
    decoupled_weight_decay: bool = False,
    eps_hat: bool = False,
) -> Rule:
    """p ← p − lr·m̂/(√v̂ + ε), with L2 decay through both moments.

    The step of a coordinate is at most about lr while gradients keep their scale. ``eps_hat`` adds ε before the bias correction
    (Keras). ``amsgrad`` takes the running maximum of v (12 bytes per parameter); otherwise 8 bytes per parameter.
    """
    second = moment.Ema(betas[1], moment.square)
    return Rule(
        moments={"exp_avg": moment.Ema(betas[0]), "exp_avg_sq": moment.Peak(second) if amsgrad else second},
        direction=direction.HatRatio(eps) if eps_hat else direction.Ratio(eps),
        decay=decay.Decoupled(weight_decay) if decoupled_weight_decay else decay.L2(weight_decay),
    )


@preset(lr=1e-3, source="Loshchilov & Hutter 2017, arXiv:1711.05101; torch.optim.AdamW")
def adamw(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 1e-2,
    amsgrad: bool = False,
    *,
    eps_hat: bool = False,
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·m̂/(√v̂ + ε): Adam with decoupled weight decay.

    The decay is decoupled from the gradient's scaling and still multiplied by lr, as everybody ships it; ``decay.Scheduled`` is
    the paper's own coupling. 8 bytes per parameter, 12 with ``amsgrad``.
    """
    return adam(betas, eps, weight_decay, amsgrad, decoupled_weight_decay=True, eps_hat=eps_hat)


class Adam(DropIn, preset=adam):
    """Drop-in for torch.optim.Adam."""


class AdamW(DropIn, preset=adamw):
    """Drop-in for torch.optim.AdamW."""
