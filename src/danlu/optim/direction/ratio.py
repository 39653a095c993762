"""Numerator over magnitude, and the places where ε goes: a class for each convention that is in use."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Direction
from danlu.optim.values import Reading, Scalars, Signal, Tick
from danlu.ranges import NonNegative, Positive

__all__ = ["ClampRatio", "HatRatio", "InnerRatio", "Ratio", "TwiceRatio"]


@dataclass(frozen=True)
class AbstractRatio(Direction):
    """u = m̂/d: unit-free, so lr is the size of a typical step.

    Args:
        eps: ε of the denominator.
        num: name of the numerator, or None for the first moment or the gradient.
        den: name of the magnitude, or None for the first one.
    """

    eps: Positive | None = 1e-8
    num: str | None = None
    den: str | None = None

    wants_scale: ClassVar[bool] = True

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """ε, unless the dtype gives it."""
        return {} if self.eps is None else {"eps": self.eps}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        return c.numerator(self.num).hat / self.denominator(c.denominator(self.den), h)

    @abstractmethod
    def denominator(self, v: Reading, h: Scalars) -> Tensor:
        """Return d from the magnitude."""


@piece(source="Kingma & Ba 2014, arXiv:1412.6980; torch.optim")
@dataclass(frozen=True)
class Ratio(AbstractRatio):
    """u = m̂/(√v̂ + ε): ε outside the root, in the unit of g, on the bias-corrected magnitude (source 000, torch, optax)."""

    eps: NonNegative = 1e-8

    def denominator(self, v: Reading, h: Scalars) -> Tensor:
        """Return √v̂ + ε."""
        return v.root + h["eps"]


@piece(source="Keras, torch.optim.RAdam, Adam's section 2 remark (epsilon hat)")
@dataclass(frozen=True)
class HatRatio(AbstractRatio):
    """u = m̂/(√v̂ + ε/√(1 − β₂ᵗ)): ε added before the bias correction, "ε̂" of the Adam paper.

    At t = 1 with β₂ = 0.999 its ε is 31.6 times that of `Ratio`; later they agree.
    """

    eps: Positive = 1e-8

    def denominator(self, v: Reading, h: Scalars) -> Tensor:
        """Return (√v + ε)/√(1 − β₂ᵗ)."""
        return v.root + v.root_debias * h["eps"]


@piece(source="Hinton 2012 (lecture 6e) as in Keras and optax; source 000's RMSProp")
@dataclass(frozen=True)
class InnerRatio(AbstractRatio):
    """u = m̂/√(v̂ + ε): ε under the root, in the unit of g²: 1e-8 here is a floor of 1e-4, not 1e-8."""

    eps: Positive = 1e-8

    def denominator(self, v: Reading, h: Scalars) -> Tensor:
        """Return √(v̂ + ε), or v̂ + ε for a magnitude that has no root to take."""
        floored = v.hat + h["eps"]
        return floored.sqrt() if v.of is Signal.SQUARE else floored


@piece(source="optax.adam (eps_root)")
@dataclass(frozen=True)
class TwiceRatio(AbstractRatio):
    """u = m̂/(√(v̂ + ε₀) + ε): ε under the root, where it keeps a derivative at 0 finite, and outside it.

    Args:
        eps: ε outside, in the unit of g.
        root_eps: ε₀ under the root, in the unit of g² (of |g| for a magnitude that has no root to take).
    """

    eps: Positive = 1e-8
    root_eps: NonNegative = 1e-16

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """ε and ε₀."""
        return {**super().scalars(tick), "root_eps": self.root_eps}

    def denominator(self, v: Reading, h: Scalars) -> Tensor:
        """Return √(v̂ + ε₀) + ε, or v̂ + ε₀ + ε for a magnitude that has no root to take."""
        floored = v.hat + h["root_eps"]
        return (floored.sqrt() if v.of is Signal.SQUARE else floored) + h["eps"]


@piece(source="HeavyBall; torch.optim.Adafactor's floor")
@dataclass(frozen=True)
class ClampRatio(AbstractRatio):
    """u = m̂/max(√v̂, ε): ε as a floor, in the unit of g, which leaves larger magnitudes untouched.

    Args:
        eps: ε; None for the spacing of the compute dtype at 1 (1.2e-7 for float32), as torch's Adafactor has it.
    """

    eps: Positive | None = 1e-8

    def denominator(self, v: Reading, h: Scalars) -> Tensor:
        """Return max(√v̂, ε)."""
        return v.root.clamp_min(torch.finfo(v.raw.dtype).eps if self.eps is None else h["eps"])
