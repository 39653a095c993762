"""SMMF."""

from __future__ import annotations

from danlu.optim import decay, direction, moment, store
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adafactor import DecayExponent
from danlu.ranges import Beta, Fraction, NonNegative, Positive

__all__ = ["SMMF", "smmf"]


@preset(lr=1e-3, source="Park & Lee 2024, arXiv:2412.08894; the authors' code")
def smmf(
    beta: Beta | None = 0.9,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    decay_rate: DecayExponent = -0.5,
    growth_rate: Fraction = 0.999,
    vector_reshape: bool = True,
) -> Rule:
    """p ← p − lr·m/(√v + ε), β₁ = β·γ^(t−1), β₂ = 1 − t^−c, both moments kept as rank-1 factors of the squarest matrix.

    No bias correction: the first step is (1 − β)·lr. ``decay_rate`` is −c: −0.5 for convolutional networks (the default of the
    authors' code), −0.8 for transformers. ``beta=None`` has no momentum, and lets a parameter rest whose gradient is 0; with
    momentum such a parameter moves with its neighbours. ``vector_reshape=False`` keeps vectors dense. Decay is decoupled (the
    authors' "adam" mode has no effect). 1/8 byte per parameter and a few vectors.
    """
    first = {} if beta is None else {"exp_avg": moment.Ema(moment.Fading(beta, growth_rate), debias=False)}
    signs = {} if beta is None else {"exp_avg": store.SquareMatricized(vectors=vector_reshape)}
    second = moment.Ema(moment.PowerDecay(-decay_rate), moment.square, debias=False)
    return Rule(
        moments={**first, "exp_avg_sq": second},
        store={**signs, "exp_avg_sq": store.SquareMatricized(signs=False, vectors=vector_reshape)},
        direction=direction.Ratio(eps),
        decay=decay.Decoupled(weight_decay),
    )


class SMMF(DropIn, preset=smmf):
    """SMMF with torch's calling convention."""
