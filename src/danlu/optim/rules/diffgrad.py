"""diffGrad."""

from __future__ import annotations

from danlu.optim import modify
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["DiffGrad", "diffgrad"]


@preset(lr=1e-3, source="Dubey et al. 2019, arXiv:1909.11015; the authors' second version")
def diffgrad(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    *,
    decoupled_weight_decay: bool = False,
    eps_hat: bool = True,
) -> Rule:
    """p ← p − lr·ξ·m̂/(√v̂ + ε), ξ = sigmoid(|gₜ₋₁ − gₜ|): Adam that slows down where the gradient hardly changes.

    ``eps_hat`` adds ε before the bias correction, as the authors do. 12 bytes per parameter.
    """
    rule = adam(betas, eps, weight_decay, decoupled_weight_decay=decoupled_weight_decay, eps_hat=eps_hat)
    return rule.but(modify=(modify.Friction(),))


class DiffGrad(DropIn, preset=diffgrad):
    """diffGrad with the argument order of torch's optimizers."""
