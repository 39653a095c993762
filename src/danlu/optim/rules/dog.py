"""DoG and L-DoG."""

from __future__ import annotations

from danlu.optim import average, rate
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.sgd import sgd
from danlu.ranges import NonNegative, Positive

__all__ = ["DoG", "LDoG", "dog", "ldog"]


@preset(lr=1.0, source="Ivgi, Hinder, Carmon 2023, arXiv:2302.12022; formll/dog")
def dog(reps_rel: Positive = 1e-6, weight_decay: NonNegative = 0.0, eps: Positive = 1e-8, *, gamma: NonNegative = 8.0) -> Rule:
    """p ← p − lr·r/√(Σ‖g‖² + ε)·g with r the largest distance from p₀ so far: SGD without a rate to choose.

    lr stays 1. Evaluate inside ``with optimizer.averaged():``, at the polynomial average (γ) that the paper asks for; it does
    not touch p. ``reps_rel=1e-4`` with BatchNorm. 8 bytes per parameter.
    """
    return sgd(weight_decay=weight_decay).but(rate=(rate.Dog(reps_rel, eps),), average=average.Polynomial(gamma))


@preset(lr=1.0, source="Ivgi, Hinder, Carmon 2023, arXiv:2302.12022; formll/dog")
def ldog(reps_rel: Positive = 1e-6, weight_decay: NonNegative = 0.0, eps: Positive = 1e-8, *, gamma: NonNegative = 8.0) -> Rule:
    """p ← p − lr·r/√(Σ‖g‖² + ε)·g with the norms of each tensor for itself: `dog` layer by layer. 8 bytes per parameter."""
    return dog(reps_rel, weight_decay, eps, gamma=gamma).but(rate=(rate.LDog(reps_rel, eps),))


class DoG(DropIn, preset=dog):
    """DoG with the authors' arguments."""


class LDoG(DropIn, preset=ldog):
    """L-DoG with the authors' arguments."""
