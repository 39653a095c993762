"""MoMo: Polyak's step size as a cap on lr, for SGD with momentum and for Adam."""

from __future__ import annotations

from danlu.optim import decay, direction, modify, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.modify.polyak_cap import Bound
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["Momo", "MomoAdam", "momo", "momo_adam"]


@preset(lr=1.0, source="Schaipp et al. 2023, arXiv:2305.07583; fabian-sp/MoMo, optax")
def momo(weight_decay: NonNegative = 0.0, beta: Beta = 0.9, lb: Bound = 0.0, bias_correction: bool = False) -> Rule:
    """p ← (p − η·d)/(1 + lr·λ), η = min(lr, [f̄ − lb + ⟨d, p⟩ − γ̄]₊/‖d‖²), d, f̄, γ̄ averages of g, the loss, ⟨g, p⟩.

    SGD with momentum that shortens its step by itself: lr is a cap, and may be far too large. Call ``step(loss=loss)``; lb is a
    lower bound of the loss, 0 for nearly all. 4 bytes per parameter.
    """
    average = moment.Ema(beta) if bias_correction else moment.HeavyBall(beta, dampening=beta)
    cap = modify.PolyakCap(beta, lb, bias_correction, weight_decay)
    return Rule(direction.Plain(), {"momentum_buffer": average}, modify=(cap,), decay=decay.Proximal(weight_decay))


@preset(lr=1e-2, source="Schaipp et al. 2023, arXiv:2305.07583; fabian-sp/MoMo, optax")
def momo_adam(
    betas: tuple[Beta, Beta] = (0.9, 0.999), eps: Positive = 1e-8, weight_decay: NonNegative = 0.0, lb: Bound = 0.0
) -> Rule:
    """p ← (p − η·m̂/D)/(1 + lr·λ), D = √v̂ + ε, η = min(lr, [f̄ − lb + ⟨m̂, p⟩ − γ̄]₊/⟨m̂, m̂/D⟩), f̄, γ̄ averages as in `momo`.

    Adam that shortens its step by itself: lr is a cap, and may be ten times Adam's. Call ``step(loss=loss)``; lb is a lower
    bound of the loss, 0 for nearly all. 8 bytes per parameter.
    """
    cap = modify.PolyakCap(betas[0], lb, shrink=weight_decay)
    return adam(betas, eps).but(modify=(cap,), decay=decay.Proximal(weight_decay))


class Momo(DropIn, preset=momo):
    """MoMo with the authors' arguments."""


class MomoAdam(DropIn, preset=momo_adam):
    """MoMo-Adam with the authors' arguments."""
