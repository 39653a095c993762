"""SGD with norm loss."""

from __future__ import annotations

from danlu.optim import decay
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.sgd import sgd
from danlu.ranges import Beta, Fraction, NonNegative

__all__ = ["NormLossSGD", "norm_loss_sgd"]


@preset(lr=1e-2, source="Georgiou et al. 2021 (Norm Loss), arXiv:2103.06583")
def norm_loss_sgd(
    momentum: Beta = 0.9,
    dampening: Fraction = 0.0,
    weight_decay: NonNegative = 1e-4,
    nesterov: bool = False,
    *,
    vectors: bool = False,
) -> Rule:
    """Pₒ ← pₒ − lr·2λ·(1 − 1/‖pₒ‖)·pₒ − lr·b: SGD whose decay pulls every output row to length 1 instead of 0.

    The pull is decoupled from the momentum; without momentum it is the gradient of the paper's loss term. ``vectors`` pulls
    biases, gains and scalars too. Unverified: the paper's λ, which depends on the data set. 4 bytes per parameter.
    """
    return sgd(momentum, dampening, 0.0, nesterov).but(decay=decay.NormLoss(weight_decay, vectors))


class NormLossSGD(DropIn, preset=norm_loss_sgd):
    """SGD with norm loss, with torch.optim.SGD's arguments."""
