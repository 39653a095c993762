"""SignSGD and Signum."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative

__all__ = ["SignSGD", "Signum", "sign_sgd", "signum"]


@preset(lr=1e-4, source="Bernstein et al. 2018, arXiv:1802.04434")
def sign_sgd(weight_decay: NonNegative = 0.0) -> Rule:
    """p ← (1 − lr·λ)·p − lr·sign(g): every element with a gradient, however small, moves by lr. No state."""
    return Rule(direction.Sign(), decay=decay.Decoupled(weight_decay))


@preset(lr=1e-4, source="Bernstein et al. 2018, arXiv:1802.04434")
def signum(momentum: Beta = 0.9, weight_decay: NonNegative = 0.0) -> Rule:
    """p ← (1 − lr·λ)·p − lr·sign(m), m ← μ·m + (1 − μ)·g: `lion` with equal betas. 4 bytes per parameter."""
    return sign_sgd(weight_decay).but(moments={"exp_avg": moment.Ema(momentum, debias=False)})


class SignSGD(DropIn, preset=sign_sgd):
    """SignSGD with the argument order of torch's optimizers."""


class Signum(DropIn, preset=signum):
    """Signum with the argument order of torch's optimizers."""
