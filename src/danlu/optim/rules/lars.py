"""LARS."""

from __future__ import annotations

from danlu.optim import modify, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.sgd import sgd
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["LARS", "lars"]


@preset(lr=1.0, source="You et al. 2017 (LARS), arXiv:1708.03888; timm")
def lars(
    momentum: Beta = 0.9,
    weight_decay: NonNegative = 0.0,
    nesterov: bool = False,
    *,
    trust_coefficient: Positive = 1e-3,
    eps: NonNegative = 1e-8,
    adapt_vectors: bool = False,
) -> Rule:
    """b ← μb + r(g + λp), r = c‖p‖/(‖g‖ + λ‖p‖ + ε) per tensor; p ← p − lr·b: SGD whose step is relative to the weights.

    Vectors and scalars keep r = 1 unless ``adapt_vectors`` (timm's ``always_adapt``): at the large lr that LARS wants, give
    them a group of their own. lr is outside the buffer, as in timm. 4 bytes per parameter, 0 without momentum.
    """
    buffer = (modify.Smooth(moment.HeavyBall(momentum, nesterov=nesterov)),) if momentum else ()
    trust = modify.TrustRatio(trust_coefficient, weight_decay, eps, adapt_vectors=adapt_vectors)
    return sgd().but(modify=(trust, *buffer), decay=None)


class LARS(DropIn, preset=lars):
    """LARS."""
