"""RMSProp: every place of ε, lr and momentum that is in use."""

from __future__ import annotations

from danlu.optim import decay, direction, modify, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["RMSprop", "rmsprop"]


@preset(lr=1e-2, source="Hinton 2012 (lecture 6e); Graves 2013, arXiv:1308.0850; torch.optim.RMSprop")
def rmsprop(
    alpha: Beta = 0.99,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    momentum: Beta = 0.0,
    centered: bool = False,
    *,
    nesterov: bool = False,
    eps_inside: bool = False,
    lr_inside: bool = False,
    initial_square_avg: NonNegative = 0.0,
) -> Rule:
    """v ← αv + (1 − α)g²; u = g/(√v + ε); p ← p − lr·u, or with momentum b ← μb + u, p ← p − lr·b. No bias correction.

    The defaults are torch's. ``eps_inside`` is g/√(v + ε) (source 000, Keras, optax); ``centered`` takes v − a²; ``lr_inside``
    puts lr·u into the buffer (TensorFlow, Keras, optax); ``initial_square_avg=1`` is TensorFlow's start. Source 000's RMSProp
    with Nesterov is ``momentum=α, nesterov=True, eps_inside=True, lr_inside=True``. The first step is up to lr/√(1 − α).
    4 bytes per parameter, + 4 with momentum, + 4 centered.

    Raises:
        ValueError: for ``nesterov`` or ``lr_inside`` without momentum.
    """
    if nesterov and momentum <= 0:
        raise ValueError(f"rmsprop: nesterov needs momentum in (0, 1), got {momentum!r}")
    if lr_inside and momentum <= 0:
        raise ValueError(f"rmsprop: lr_inside needs momentum in (0, 1), got {momentum!r}")
    second: moment.Ema | moment.Centered = moment.Ema(alpha, moment.square, debias=False, start=initial_square_avg)
    if centered:
        second = moment.Centered(second, moment.Ema(alpha, debias=False))
    smooth = (modify.Smooth(moment.HeavyBall(momentum, nesterov=nesterov)),) if momentum else ()
    return Rule(
        moments={"square_avg": second},
        direction=direction.InnerRatio(eps) if eps_inside else direction.Ratio(eps),
        modify=() if lr_inside else smooth,
        after_lr=smooth if lr_inside else (),
        decay=decay.L2(weight_decay),
    )


class RMSprop(DropIn, preset=rmsprop):
    """Drop-in for torch.optim.RMSprop."""
