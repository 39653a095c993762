"""Amos."""

from __future__ import annotations

from danlu.optim import direction, modify, moment, store
from danlu.optim.drop_in import DropIn
from danlu.optim.formulas.blocks import Blocks
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["Amos", "amos"]


@preset(lr=1e-3, source="Tian & Parikh 2022, arXiv:2210.11693; google-research/jestimator")
def amos(
    beta: Beta = 0.999,
    momentum: Beta = 0.0,
    eta: Positive | None = None,
    extra_l2: NonNegative = 0.0,
    *,
    blocks: Blocks = "tensor",
) -> Rule:
    """p ← p − lr·d·(η·g/√v̂ + (γ/2 + l)·p/lr): a step and a decay that both fall with the noise seen, as `direction.Amos` says.

    lr is about 1/√(number of batches), and 1 − β of that size. η is the size that the weights are to have; give groups their
    own. The momentum averages the whole step. State is a few bytes per block, and 4 bytes per parameter with momentum.
    """
    return Rule(
        moments={"exp_avg_sq": moment.Ema(beta, moment.square)},
        direction=direction.Amos(eta, extra_l2, blocks),
        store={"exp_avg_sq": store.BlockMean(blocks)},
        after_lr=(modify.Smooth(moment.Ema(momentum, debias=False)),) if momentum else (),
    )


class Amos(DropIn, preset=amos):
    """Amos with the argument order of torch's optimizers."""
