"""AdaLo: the loss sets the learning rate."""

from __future__ import annotations

from typing import Literal, TypeAlias

from danlu.optim import decay, direction, moment, rate
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AdaLo", "LossMode", "adalo"]

LossMode: TypeAlias = Literal["adversarial", "compliant", "linear"]

_RATES = {"adversarial": rate.LossAdversarial, "compliant": rate.LossCompliant, "linear": rate.LossLinear}


@preset(lr=1.0, source="Jeong & Koo, Information Sciences 690 (2025) 121607; cpuimage/AdaLo (source 003), repaired")
def adalo(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    weight_decay: NonNegative = 1e-2,
    *,
    kappa: Positive = 3.0,
    eps: Positive = 1e-8,
    mode: LossMode = "adversarial",
) -> Rule:
    """p ← (1 − a·λ)·p − a·m, a = lr·max(z/κ, ε), z ← β₂z + (1 − β₂)/(2 + L): momentum whose rate is an average of the loss.

    Call ``step(loss=loss)``; without a loss the step is refused (the source then trains at ε in silence). Its lr argument is
    unused; here lr multiplies a, and 1 is the source's rule. `mode` chooses the piece: ``rate.LossAdversarial``,
    ``LossCompliant`` or ``LossLinear`` (give that one κ = 10). m is not bias-corrected. 4 bytes per parameter. Unverified: the
    paper's text was not at hand.
    """
    return Rule(
        moments={"exp_avg": moment.Ema(betas[0], debias=False)},
        direction=direction.Plain(),
        decay=decay.Decoupled(weight_decay),
        rate=(_RATES[mode](kappa, betas[1], eps),),
    )


class AdaLo(DropIn, preset=adalo):
    """AdaLo with the argument order of torch's optimizers."""
