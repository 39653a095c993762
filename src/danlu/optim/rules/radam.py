"""RAdam."""

from __future__ import annotations

from danlu.optim import modify
from danlu.optim.drop_in import DropIn
from danlu.optim.formulas.rectification import Rectifiable, Threshold
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["RAdam", "radam"]


@preset(lr=1e-3, source="Liu et al. 2019, arXiv:1908.03265; torch.optim.RAdam")
def radam(
    betas: tuple[Beta, Rectifiable] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    decoupled_weight_decay: bool = False,
    *,
    threshold: Threshold = 5.0,
    eps_hat: bool = True,
    unadapted: bool = True,
) -> Rule:
    """p ← p − lr·rₜ·m̂/(√v̂ + ε) once ρₜ > threshold, p ← p − lr·m̂ before: Adam that need not warm up.

    torch's defaults; ``threshold=4`` with ``eps_hat=False`` is source 000 and the paper. ``unadapted=False`` takes no step
    below the threshold (the authors' code), which is safe where gradients are large. 8 bytes per parameter.
    """
    rule = adam(betas, eps, weight_decay, decoupled_weight_decay=decoupled_weight_decay, eps_hat=eps_hat)
    return rule.but(modify=(modify.Rectify(betas[1], threshold, unadapted),))


class RAdam(DropIn, preset=radam):
    """Drop-in for torch.optim.RAdam."""
