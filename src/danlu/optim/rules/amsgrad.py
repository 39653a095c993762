"""AMSGrad, in the paper's form and in optax's."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AMSGrad", "amsgrad"]


@preset(lr=1e-3, source="Reddi, Kale, Kumar 2018, arXiv:1904.09237; optax.amsgrad")
def amsgrad(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    *,
    debias: bool = False,
) -> Rule:
    """p ← p − lr·m/(√x + ε), x ← max(x, v), with L2 decay.

    Three rules go by this name. The paper's (this default) corrects no bias; ``debias=True`` is optax's, m̂ over the maximum of
    the corrected v̂; ``adam(amsgrad=True)`` is torch's, which takes the maximum first and corrects after. 12 bytes per
    parameter.
    """
    second = moment.Ema(betas[1], moment.square, debias)
    return Rule(
        moments={"exp_avg": moment.Ema(betas[0], debias=debias), "exp_avg_sq": moment.Peak(second, hat=debias)},
        direction=direction.Ratio(eps),
        decay=decay.L2(weight_decay),
    )


class AMSGrad(DropIn, preset=amsgrad):
    """AMSGrad with the argument order of torch's optimizers."""
