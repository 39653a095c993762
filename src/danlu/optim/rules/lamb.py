"""LAMB."""

from __future__ import annotations

import math

from danlu.optim import decay, direction, modify, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.modify.trust_ratio import Bound
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["LAMB", "lamb"]


@preset(lr=1e-3, source="You et al. 2019 (LAMB), arXiv:1904.00962; timm, optax")
def lamb(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-6,
    weight_decay: NonNegative = 1e-2,
    *,
    debias: bool = True,
    bounds: tuple[NonNegative, Bound] = (0.0, math.inf),
    ceiling: Bound = math.inf,
    adapt_vectors: bool = False,
) -> Rule:
    """p ← p − lr·(φ(‖p‖)/‖u‖)·u, u = m̂/(√v̂ + ε) + λp: Adam whose step is lr of each tensor's own norm.

    φ clamps to ``bounds`` (the identity by default); ``ceiling=1`` is LAMBC. Vectors and scalars take Adam's step unless
    ``adapt_vectors`` (optax; timm's ``always_adapt``). timm also clips the global gradient norm at 1: ``grad.ClipNorm(1.0)``.
    8 bytes per parameter.
    """
    return Rule(
        direction.Ratio(eps),
        {"exp_avg": moment.Ema(betas[0], debias=debias), "exp_avg_sq": moment.Ema(betas[1], moment.square, debias)},
        modify=(
            modify.AddPenalty(decay.L2(weight_decay)),
            modify.TrustRatio(bounds=bounds, ceiling=ceiling, adapt_vectors=adapt_vectors),
        ),
    )


class LAMB(DropIn, preset=lamb):
    """LAMB."""
