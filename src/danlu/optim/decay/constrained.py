"""Constrained parameter regularisation: each tensor's norm is held below a bound of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.decay.regularizer import Regularizer, pull, size
from danlu.optim.piece import Decay
from danlu.optim.values import Scalars, Scope, Sight, Start, Tick, single_zero
from danlu.ranges import Interval, NonNegative

__all__ = ["BoundStart", "Constrained", "Steps"]

BoundStart = Literal["inflection", "uniform", "dependent", "warm_start"]
Steps = Annotated[int, Interval(1, 10**9)]


@piece(source="Franke et al. 2023 (CPR), arXiv:2311.09058; the equations, not the authors' code where its two paths disagree")
@dataclass(frozen=True)
class Constrained(Decay):
    """p ← p − λ·∇R(p) after the step, λ ← max(0, λ + μ·(R(p) − κ·R₀)): a pull only while R(p) is above the bound.

    An augmented Lagrangian with one multiplier λ ≥ 0 per tensor; μ is `rate` over the number of elements (not for "std"). lr
    does not enter. For weights of layers: keep biases, gains and embeddings out of it. Two numbers per tensor, four with
    "inflection".

    Departures from the authors' code: an element is pulled no further than to zero ("std": to the mean), where theirs shoots
    past it and can diverge; until the bound is known nothing is pulled, where theirs pulls towards 1000. Their inflection is
    meant to be an average's, which their code never stores; here as there it is R's own.

    Args:
        kappa: κ, the bound in units of R₀.
        norm: R: "l2" Σp², "l1" Σ|p|, "std" the standard deviation (n − 1), "huber" Σ½p² up to 1 and |p| − ½ beyond.
        start: R₀: "uniform" 1; "dependent" R of the start; "warm_start" R after step `warmup`; "inflection" R at the first
            multiple of `every`, from the fourth on, at which R grew less than the time before.
        rate: step of the multiplier; 0 is off.
        warmup: step for "warm_start": 1 to 4 times the warm-up of lr.
        every: steps between two looks for the inflection.
        overshoot: pull past zero, as the equations say.
    """

    kappa: NonNegative = 1.0
    norm: Regularizer = "l2"
    start: BoundStart = "inflection"
    rate: NonNegative = 1.0
    warmup: Steps = 1000
    every: Steps = 200
    overshoot: bool = False

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def slots(self) -> Mapping[str, Start]:
        """λ, R₀ (inf while unknown), and what the inflection is seen by: R at the last look, and its growth up to it."""
        first: Mapping[BoundStart, Start] = {"uniform": _one, "dependent": self._size}
        watched = {"cpr_seen": single_zero, "cpr_growth": single_zero} if self.start == "inflection" else {}
        return {"cpr_multiplier": single_zero, "cpr_bound": first.get(self.start, _unknown), **watched}

    def _size(self, p: Tensor) -> Tensor:
        return size(self.norm, p)

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """κ, the rate, and which of the two events this step may be."""
        look = tick.t % self.every == 0
        now = tick.t == self.warmup if self.start == "warm_start" else look and tick.t >= 4 * self.every
        return {"kappa": self.kappa, "rate": self.rate, "look": float(look), "now": float(now)}

    def constrain(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the new parameter, pulled by the multiplier as it is after this step."""
        r = size(self.norm, p)
        bound = self._bound(r, c, h)
        excess = torch.where(bound.isinf(), 0.0, r - bound * h["kappa"])
        step = excess * h["rate"] / (1 if self.norm == "std" else p.numel())
        multiplier = (c.load("cpr_multiplier") + step).clamp_min(0.0)
        c.save("cpr_multiplier", multiplier)
        return p - pull(self.norm, p, multiplier, self.overshoot)

    def _bound(self, r: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return R₀ as it is from this step on, and keep it."""
        bound = c.load("cpr_bound")
        now = torch.zeros_like(r) + h["now"] > 0
        if self.start == "inflection":
            seen, growth = c.load("cpr_seen"), c.load("cpr_growth")
            grown = r - seen
            c.save("cpr_seen", seen + grown * h["look"])
            c.save("cpr_growth", growth + (grown - growth) * h["look"])
            now = now & (grown < growth) & bound.isinf()
        return c.save("cpr_bound", torch.where(now, r, bound) if self.start in {"inflection", "warm_start"} else bound)


def _one(p: Tensor) -> Tensor:
    return p.new_ones(())


def _unknown(p: Tensor) -> Tensor:
    return p.new_full((), math.inf)
