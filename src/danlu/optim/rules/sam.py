"""SGD under sharpness-aware minimization."""

from __future__ import annotations

from danlu.optim import around
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.sgd import sgd
from danlu.ranges import Beta, NonNegative

__all__ = ["ASAM", "SAM", "asam", "sam"]


@preset(lr=0.1, source="Foret et al. 2020, arXiv:2010.01412")
def sam(rho: NonNegative = 0.05, *, momentum: Beta = 0.9, weight_decay: NonNegative = 0.0, nesterov: bool = False) -> Rule:
    """p ← step of `sgd` with the gradient of p + ρ·g/‖g‖: seeks minima whose neighbourhood is low as well.

    Call ``step(closure)``; the closure is evaluated twice, at p and beside it. Over any other preset:
    ``create("adamw", ..., around=around.Sam(0.05))``. 4 bytes per parameter, and 4 more during the second evaluation.
    """
    return sgd(momentum, 0.0, weight_decay, nesterov).but(around=around.Sam(rho))


@preset(lr=0.1, source="Kwon et al. 2021, arXiv:2102.11600")
def asam(
    rho: NonNegative = 0.5,
    eta: NonNegative = 0.01,
    *,
    vectors: bool = True,
    momentum: Beta = 0.9,
    weight_decay: NonNegative = 0.0,
    nesterov: bool = False,
) -> Rule:
    """p ← step of `sgd` with the gradient of p + ρ·T²g/‖T·g‖, T = |p| + η: `sam` in units of each weight's own size.

    ``vectors=False`` takes T = 1 for tensors of one dimension or none, the authors' treatment of biases; ``eta=0`` is the form
    of davda54/sam. Call ``step(closure)``. 4 bytes per parameter, and 4 more during the second evaluation.
    """
    return sgd(momentum, 0.0, weight_decay, nesterov).but(around=around.Asam(rho, eta, vectors))


class SAM(DropIn, preset=sam):
    """SGD with momentum under SAM."""


class ASAM(DropIn, preset=asam):
    """SGD with momentum under ASAM."""
