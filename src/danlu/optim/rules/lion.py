"""Lion."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative

__all__ = ["Lion", "lion"]


@preset(lr=1e-4, source="Chen et al. 2023, arXiv:2302.06675; google/automl")
def lion(betas: tuple[Beta, Beta] = (0.9, 0.99), weight_decay: NonNegative = 0.0) -> Rule:
    """p ← (1 − lr·λ)·p − lr·sign(β₁m + (1 − β₁)g), then m ← β₂m + (1 − β₂)g.

    Every coordinate moves by lr: use an lr 3 to 10 times smaller, and a λ as much larger, than AdamW's. 4 bytes per parameter.
    """
    return Rule(
        moments={"exp_avg": moment.Ema(betas[1], debias=False, peek=betas[0])},
        direction=direction.Sign(),
        decay=decay.Decoupled(weight_decay),
    )


class Lion(DropIn, preset=lion):
    """Lion with the argument order of torch's optimizers."""
