"""SGD in the conventions in use; a number belongs to one of them (lr 0.1 in EMA form is 0.01 in heavy-ball form)."""

from __future__ import annotations

from danlu.optim import decay, direction, modify, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, Fraction, NonNegative

__all__ = ["SGD", "SGDW", "sgd", "sgd_ema", "sgd_velocity", "sgdw"]


@preset(lr=1e-3, source="Robbins & Monro 1951; Polyak 1964; Nesterov 1983; torch.optim.SGD")
def sgd(momentum: Beta = 0.0, dampening: Fraction = 0.0, weight_decay: NonNegative = 0.0, nesterov: bool = False) -> Rule:
    """g ← g + λp; b ← μb + (1 − d)g, b₁ = g; p ← p − lr·b (Nesterov: p − lr·(g + μb)).

    torch's convention: lr outside the buffer, so a new lr rescales the whole history. 4 bytes per parameter, 0 without
    momentum.

    Raises:
        ValueError: for Nesterov without momentum or with dampening.
    """
    if nesterov and (momentum <= 0 or dampening != 0):
        raise ValueError(f"sgd: nesterov needs momentum in (0, 1) and dampening 0, got {momentum!r} and {dampening!r}")
    buffer = {"momentum_buffer": moment.HeavyBall(momentum, dampening, nesterov)} if momentum else {}
    return Rule(direction=direction.Plain(), moments=buffer, decay=decay.L2(weight_decay))


@preset(lr=1e-3, source="Loshchilov & Hutter 2017 (SGDW), arXiv:1711.05101")
def sgdw(momentum: Beta = 0.0, dampening: Fraction = 0.0, weight_decay: NonNegative = 1e-2, nesterov: bool = False) -> Rule:
    """p ← (1 − lr·λ)·p − lr·b: `sgd` with decoupled decay."""
    return sgd(momentum, dampening, 0.0, nesterov).but(decay=decay.Decoupled(weight_decay))


@preset(lr=1e-2, source="source 001; optimi (dampening), optax.ema")
def sgd_ema(momentum: Beta = 0.9, weight_decay: NonNegative = 0.0) -> Rule:
    """m ← μm + (1 − μ)g, m₀ = 0; p ← p − lr·m: the step has the size of a gradient's, whatever μ.

    Equals `sgd` with lr·(1 − μ). 4 bytes per parameter.
    """
    return Rule(
        direction=direction.Plain(),
        moments={"momentum_buffer": moment.Ema(momentum, debias=False)},
        decay=decay.L2(weight_decay),
    )


@preset(lr=1e-3, source="Sutskever et al. 2013; Keras and TensorFlow SGD; Nesterov's look-ahead of source 000")
def sgd_velocity(momentum: Beta = 0.9, weight_decay: NonNegative = 0.0, nesterov: bool = False) -> Rule:
    """v ← μv + lr·g; p ← p − v (Nesterov: p − lr·g − μv): lr inside the buffer, so each gradient keeps its own day's lr.

    With Nesterov this is source 000's look-ahead form exactly, under every schedule: p is the point θ + μv where its gradient
    is taken. Equals `sgd` while lr is constant. 4 bytes per parameter.
    """
    velocity = modify.Smooth(moment.HeavyBall(momentum, nesterov=nesterov))
    return Rule(direction=direction.Plain(), after_lr=(velocity,), decay=decay.L2(weight_decay))


class SGD(DropIn, preset=sgd):
    """Drop-in for torch.optim.SGD."""


class SGDW(DropIn, preset=sgdw):
    """SGD with decoupled weight decay, with torch.optim.SGD's arguments."""
