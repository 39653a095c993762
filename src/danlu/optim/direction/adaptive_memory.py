"""Momentum whose memory is solved for at every step: one β for the model, or one per tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Direction, Measured
from danlu.optim.values import Kept, Scalars, Scope, Sight, Start, Tick
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AdaptiveMemory", "ScaledMemory"]

_SOURCE = "Adaptive Memory momentum, arXiv:2510.04988"


@piece(source=_SOURCE)
@dataclass(frozen=True)
class AdaptiveMemory(Direction, Measured):
    """u = d, d ← ((β + λ)·d + (1 − β)·g)/(1 + λ) with d₀ = g₁, and one β in [0, β_max] for all tensors.

    d and g are two planes that approximate the loss; β = ((1 + λ)·r·⟨g, d⟩ − ⟨d − g, g + λd⟩)/‖d − g‖² makes the best of both
    beside a pull λ towards the step of d, with r = (last lr)/lr. β = 0 where d = g. A steady direction keeps its memory, a turn
    drops it. 4 bytes per parameter. Unverified: the paper's body was not at hand; derived from its proximal problem, in
    agreement with a third party's code.

    Args:
        pull: λ.
        beta_max: the longest memory.
    """

    pull: NonNegative = 0.1
    beta_max: Beta = 0.9

    settles: ClassVar[tuple[str, ...]] = ("beta",)

    def slots(self) -> Mapping[str, Start]:
        """d."""
        return {"memory": 0.0}

    def shared(self) -> Mapping[str, Kept]:
        """The lr of the last step."""
        return {"last_lr": 0.0}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """λ, and whether there is no d yet."""
        return {"pull": self.pull, "first": 1.0 if tick.t == 1 else 0.0}

    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return ⟨g, d⟩, ⟨d − g, g + λd⟩ and ‖d − g‖² of one tensor."""
        g = c.g.double()
        d = self._old(c, h).double()
        return torch.stack([(g * d).sum(), ((d - g) * (g + d * h["pull"])).sum(), (d - g).square().sum()])

    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, Kept]:
        """Return β, and the lr to remember."""
        along, turn, apart = total
        ratio = tick.shared["last_lr"] / tick.lr if tick.lr else 0.0
        beta = torch.where(apart > 0, ((1.0 + self.pull) * ratio * along - turn) / apart, 0.0)
        return {"beta": beta.clamp(0.0, self.beta_max), "last_lr": tick.lr}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return the new d."""
        kept = (h["beta"] + h["pull"]) / (1.0 + h["pull"])
        return c.save("memory", c.g + (self._old(c, h) - c.g) * kept)

    @staticmethod
    def _old(c: Context, h: Scalars) -> Tensor:
        """d, or g before there is any."""
        d = c.load("memory")
        return d + (c.g - d) * h["first"]


@piece(source=_SOURCE)
@dataclass(frozen=True)
class ScaledMemory(Direction):
    """u = d/P, d ← ((λP + β)·d + (1 − β)·g)/(1 + λP), P = (1 − β_max·Πβᵢ)·(√v̂ + ε), with a β in [0, β_max] for each tensor.

    `AdaptiveMemory` in Adam's metric: with W = 1/(P(1 + λP)), the gap G = r·⟨g, d/P + wp⟩ and r = (last lr)/lr,
    β = ((1 + w·lr)·G − ⟨(d − g)W, g + λPd⟩ − w⟨p, d − g⟩)/⟨(d − g)², W⟩; β₁ = β_max and Π is over the steps before. λ = 0 with
    β held at β_max is Adam with β₁ = β_max. 4 bytes per parameter beside the second moment's. Unverified as `AdaptiveMemory`
    is.

    Args:
        pull: λ.
        beta_max: the longest memory.
        eps: ε.
        weight_decay: w of the decoupled decay that stands beside it; β allows for it, the decay piece applies it.
        den: name of the second moment, or None for the first one.
    """

    pull: NonNegative = 0.1
    beta_max: Beta = 0.89
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    den: str | None = None

    scope: ClassVar[Scope] = "tensor"
    wants_scale: ClassVar[bool] = True

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def slots(self) -> Mapping[str, Start]:
        """d, and the product of the tensor's β so far."""
        return {"memory": 0.0, "beta_product": _one}

    def memory(self) -> Mapping[str, float]:
        """The lr of the tensor's last step."""
        return {"last_lr": 0.0}

    def remember(self, tick: Tick) -> Mapping[str, float]:
        """This step's lr."""
        return {"last_lr": tick.lr}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """λ, β_max, ε, w, the ratio of the lrs with 1 + w·lr in it, and the β of a first step."""
        ratio = tick.memory["last_lr"] / tick.lr if tick.lr else 0.0
        return {
            "pull": self.pull,
            "max": self.beta_max,
            "least": self.beta_max if tick.t == 1 else 0.0,
            "eps": self.eps,
            "decay": self.weight_decay,
            "gap": (1.0 + self.weight_decay * tick.lr) * ratio,
        }

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return d/P, and keep d and the product."""
        p, g, d, pull = c.p, c.g, c.load("memory"), h["pull"]
        product = c.load("beta_product")
        scale = (1.0 - product * h["max"]) * (c.denominator(self.den).root + h["eps"])
        weight = 1.0 / (scale * (1.0 + scale * pull))
        apart = d - g
        gap = (g * (d / scale + p * h["decay"])).sum() * h["gap"]
        turn = (apart * weight * (g + scale * d * pull)).sum() + (p * apart).sum() * h["decay"]
        size = (apart * apart * weight).sum()
        beta = torch.where(size > 0, (gap - turn) / size, 0.0).clamp(min=0.0).clamp(max=h["max"]).clamp(min=h["least"])
        c.save("beta_product", product * beta)
        return c.save("memory", g + apart * (scale * pull + beta) / (1.0 + scale * pull)) / scale


def _one(p: Tensor) -> Tensor:
    return p.new_ones(())
