"""SAdam and SAMSGrad: Adam over a smoothly floored denominator."""

from __future__ import annotations

from danlu.optim import direction
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["SAdam", "sadam"]


@preset(lr=1e-2, source="Tong, Liang, Bi 2019, arXiv:1908.00700; neilliang90/Sadam")
def sadam(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    smooth: Positive = 50.0,
    weight_decay: NonNegative = 0.0,
    amsgrad: bool = True,
) -> Rule:
    """p ← p − lr·√(1 − β₂ᵗ)·m̂/softplusₖ(√v), with L2 decay; k = `smooth`.

    Between SGD and Adam: at most 72·lr per unit of gradient at k = 50. The authors' defaults keep the running maximum of v
    (``amsgrad``, 12 bytes per parameter; 8 without); their lr is 0.1 in the class and 0.01 in the examples.
    """
    return adam(betas, weight_decay=weight_decay, amsgrad=amsgrad).but(direction=direction.Softplus(smooth))


class SAdam(DropIn, preset=sadam):
    """SAdam with the argument order of torch's optimizers."""
