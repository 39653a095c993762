"""AdaGL."""

from __future__ import annotations

from danlu.optim import grad, modify
from danlu.optim.drop_in import DropIn
from danlu.optim.grad.fractional import Length
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam
from danlu.ranges import Beta, Fraction, NonNegative, Positive

__all__ = ["AdaGL", "adagl"]


@preset(
    lr=1e-3,
    source="Neural Processing Letters 56 (2024), doi:10.1007/s11063-024-11571-7, equations of a public catalogue",
)
def adagl(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    alpha: Fraction = 0.5,
    length: Length = 10,
    *,
    decoupled_weight_decay: bool = False,
) -> Rule:
    """p ← p − lr·C·m̂/(√v̂ + ε): Adam on the fractional difference of the gradient, with friction C in [0.6, 1.1).

    Unverified: the paper's text was not at hand; the equations are a catalogue's, and ``alpha`` is ours. 12 bytes per parameter
    and 4 for each of ``length`` past gradients.
    """
    rule = adam(betas, eps, weight_decay, decoupled_weight_decay=decoupled_weight_decay)
    return rule.but(grad=(grad.Fractional(alpha, length),), modify=(modify.RationalFriction(),))


class AdaGL(DropIn, preset=adagl):
    """AdaGL with the argument order of torch's optimizers."""
