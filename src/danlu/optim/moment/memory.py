"""Memories of an average that change with the step: β as a function of t."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from danlu.optim.piece import Piece
from danlu.ranges import Beta, Fraction, NonNegative

__all__ = ["Fading", "PowerDecay"]


@dataclass(frozen=True)
class AbstractMemory(Piece):
    """βₜ for ``moment.Ema``."""

    axis: ClassVar[str] = "moment"

    @abstractmethod
    def at(self, t: int) -> float:
        """Return βₜ, t from 1."""

    @abstractmethod
    def product(self, t: int) -> float:
        """Return β₁·…·βₜ, the share of the start value in the average."""


@dataclass(frozen=True)
class PowerDecay(AbstractMemory):
    """βₜ = min(1 − t^−c, cap): the average forgets its first steps and looks back about t^c steps (Adafactor).

    β₁ = 0, so that the first value replaces the start value: there is no bias to correct.

    Args:
        exponent: c; 0 keeps no memory at all.
        cap: the largest β; 0.999 keeps forgetting in long runs (Zhai et al. 2021, arXiv:2106.04560), 1 is Adafactor's own.
    """

    exponent: NonNegative = 0.8
    cap: Fraction = 1.0

    def at(self, t: int) -> float:
        """Return min(1 − t^−c, cap)."""
        return min(1.0 - t**-self.exponent, self.cap)

    def product(self, t: int) -> float:
        """Return 0."""
        return 0.0


@dataclass(frozen=True)
class Fading(AbstractMemory):
    """βₜ = β·γ^(t−1): momentum that fades out over about 1/(1 − γ) steps (SMMF).

    Args:
        beta: β of the first step.
        growth: γ.
    """

    beta: Beta = 0.9
    growth: Fraction = 0.999

    def at(self, t: int) -> float:
        """Return β·γ^(t−1)."""
        return self.beta * self.growth ** (t - 1)

    def product(self, t: int) -> float:
        """Return βᵗ·γ^(t(t−1)/2)."""
        return self.beta**t * self.growth ** (t * (t - 1) / 2)
