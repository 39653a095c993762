"""Adam-atan2: Adam without ε."""

from __future__ import annotations

from danlu.optim import direction
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adamw
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AdamAtan2", "adam_atan2"]


@preset(lr=1e-4, source="Everett et al. 2024, arXiv:2407.05872; lucidrains/adam-atan2-pytorch")
def adam_atan2(
    betas: tuple[Beta, Beta] = (0.9, 0.99),
    weight_decay: NonNegative = 0.0,
    *,
    a: Positive = 1.27,
    b: Positive = 1.0,
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·a·atan2(m̂, b·√v̂): AdamW that does not see the gradient's scale.

    Defaults of the PyTorch port (lr, betas, a, b); b = 2 is closer to Adam. 8 bytes per parameter.
    """
    return adamw(betas, weight_decay=weight_decay).but(direction=direction.Atan2(a, b))


class AdamAtan2(DropIn, preset=adam_atan2):
    """Adam-atan2 with the argument order of torch's optimizers."""
