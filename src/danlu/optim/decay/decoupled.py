"""Decay beside the gradient, in the four couplings to the learning rate that are in use."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Decay
from danlu.optim.values import Scalars, Tick
from danlu.ranges import Fraction, NonNegative

__all__ = ["Constant", "Corrected", "Decoupled", "Scheduled"]


@dataclass(frozen=True)
class AbstractShrink(Decay):
    """p ← (1 − s)·p with the shrink s of this step, ``h["amount"]``, and 1 − s, ``h["keep"]``."""

    def shrink(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return (1 − s)·p."""
        return p * (h["keep"] if c.lr_scale is None else 1.0 - h["amount"] * c.lr_scale)


@dataclass(frozen=True)
class AbstractDecoupled(AbstractShrink):
    """p ← (1 − s)·p with the shrink s of this step; the direction is not divided by anything of it. 0 is off.

    Args:
        rate: λ.
    """

    rate: NonNegative

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """s, and 1 − s, which in float32 is not what 1 minus a rounded s would be."""
        amount = self.amount(tick)
        return {"amount": amount, "keep": 1.0 - amount}

    @abstractmethod
    def amount(self, tick: Tick) -> float:
        """Return s."""


@piece(source="Loshchilov & Hutter 2017 (AdamW), arXiv:1711.05101, as torch, optax and timm ship it")
@dataclass(frozen=True)
class Decoupled(AbstractDecoupled):
    """p ← (1 − lr·λ)·p: decoupled from the gradient's scaling, still multiplied by lr. Weights live about 1/(lr·λ) steps."""

    def amount(self, tick: Tick) -> float:
        """Return lr·λ."""
        return tick.lr * self.rate


@piece(source="Loshchilov & Hutter 2017, arXiv:1711.05101, the paper's own form")
@dataclass(frozen=True)
class Scheduled(AbstractDecoupled):
    """p ← (1 − λ·lr/lr_peak)·p: follows the schedule, not the size of lr. λ is about 1000 times smaller than for `Decoupled`.

    lr_peak is the group's ``peak_lr`` key: the lr at construction unless set.
    """

    def amount(self, tick: Tick) -> float:
        """Return λ·lr/lr_peak."""
        return self.rate * tick.lr / tick.peak_lr if tick.peak_lr else 0.0


@piece(source="pytorch_optimizer (fixed_decay), big_vision; source 001's θ ← (1 − β)θ − λg")
@dataclass(frozen=True)
class Constant(AbstractDecoupled):
    """p ← (1 − λ)·p: the same every step, whatever lr does."""

    rate: Fraction

    def amount(self, tick: Tick) -> float:
        """Return λ."""
        return self.rate


@piece(source="Defazio 2025 (AdamC), arXiv:2506.02285")
@dataclass(frozen=True)
class Corrected(AbstractDecoupled):
    """p ← (1 − λ·lr²/lr_peak)·p: keeps the balance of gradient and weight norms while lr anneals (normalised layers).

    lr_peak is the group's ``peak_lr`` key: the lr at construction unless set.
    """

    def amount(self, tick: Tick) -> float:
        """Return λ·lr²/lr_peak."""
        return self.rate * tick.lr**2 / tick.peak_lr if tick.peak_lr else 0.0
