"""SM3."""

from __future__ import annotations

from danlu.optim import decay, direction, modify, moment, store
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["SM3", "sm3"]


@preset(lr=0.1, source="Anil, Gupta, Koren, Singer 2019, arXiv:1901.11150")
def sm3(momentum: Beta = 0.9, eps: Positive = 1e-30, weight_decay: NonNegative = 0.0, *, cover_sums: bool = False) -> Rule:
    """p ← p − lr·m, m an average of g/√(ν + ε), ν = min of the maxima over slices + g² (SM3-II): Adagrad in a few vectors.

    The average is taken after the division and not bias-corrected. ε has the unit of g²: 1e-30 is the authors'; with optax's
    1e-8 small gradients hardly move. ν only grows, so lr stays constant after a warm-up. Decay is decoupled (the paper has
    none). ``cover_sums`` is SM3-I. 4 bytes per parameter, next to nothing with ``momentum=0``.
    """
    return Rule(
        moments={"accumulator": moment.CoverSum() if cover_sums else moment.Sum()},
        store={} if cover_sums else {"accumulator": store.Cover()},
        direction=direction.InnerRatio(eps),
        modify=(modify.Smooth(moment.Ema(momentum, debias=False)),) if momentum else (),
        decay=decay.Decoupled(weight_decay),
    )


class SM3(DropIn, preset=sm3):
    """SM3 with torch's calling convention."""
