"""Adan."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["Adan", "adan"]


@preset(lr=1e-3, source="Xie et al. 2022, arXiv:2208.06677; the authors' code, timm, optimi")
def adan(
    betas: tuple[Beta, Beta, Beta] = (0.98, 0.92, 0.99),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.02,
    *,
    no_prox: bool = False,
) -> Rule:
    """p ← (p − lr·(m̂ + β₂·d̄̂)/(√n̂ + ε))/(1 + lr·λ): Adam with Nesterov's momentum from the gradient's own changes.

    ``no_prox`` decays as AdamW does. The authors clip the whole gradient in the optimizer; here that is
    ``grad=grad.ClipNorm(...)``. 16 bytes per parameter.
    """
    return Rule(
        moments={"exp_avg": moment.Adan(betas)},
        direction=direction.Ratio(eps),
        decay=decay.Decoupled(weight_decay) if no_prox else decay.Proximal(weight_decay),
    )


class Adan(DropIn, preset=adan):
    """Adan with the argument order of torch's optimizers."""
