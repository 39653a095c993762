"""The loss as the learning rate: AdaLo's three modes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from danlu.optim.catalog import piece
from danlu.optim.piece import Rate
from danlu.optim.values import Need, Tick
from danlu.ranges import Beta, Positive

__all__ = ["LossAdversarial", "LossCompliant", "LossLinear"]


@dataclass(frozen=True)
class AbstractLossRate(Rate):
    """lr ← lr·max(a(z)/κ, ε), with z ← β·z + (1 − β)·h(L) from z₀ = 0 and L the step's loss.

    z is one host number for all tensors of a group, in double precision: in the parameter's bf16 it would stop at 0.09 for
    β = 0.999. It starts from 0 and reaches its level after some 1/(1 − β) steps. A loss that is not finite leaves z as it was.

    Pass the mean loss of the whole batch (after accumulation, over all ranks).

    Args:
        kappa: κ, divides z.
        beta: memory of z.
        eps: ε, the smallest factor.
    """

    kappa: Positive = 3.0
    beta: Beta = 0.999
    eps: Positive = 1e-8

    needs: ClassVar[frozenset[Need]] = frozenset({"grad", "loss"})

    def shared(self) -> Mapping[str, float]:
        """z before the first step."""
        return {"loss_avg": 0.0}

    def share(self, tick: Tick) -> Mapping[str, float]:
        """z with this step's loss in it."""
        z = tick.shared["loss_avg"]
        return {"loss_avg": z + (1.0 - self.beta) * (self.squash(tick.loss) - z) if math.isfinite(tick.loss) else z}

    def factor(self, tick: Tick) -> float:
        """Return max(a(z)/κ, ε)."""
        return max(self.amount(tick.shared["loss_avg"]) / self.kappa, self.eps)

    def squash(self, loss: float) -> float:
        """Return h(L) = 1/(2 + L), 1/2 at no loss and 0 at an infinite one; a loss of −1 and below counts as −1.

        The source's (tanh(−log(1 + L)/2) + 1)/2 is the same number, and nan from L = −1 down.
        """
        return 1.0 / (2.0 + max(loss, -1.0))

    @abstractmethod
    def amount(self, z: float) -> float:
        """Return a(z)."""


_SOURCE = "cpuimage/AdaLo (source 003); Jeong & Koo, Information Sciences 690 (2025) 121607"


@piece(source=_SOURCE)
@dataclass(frozen=True)
class LossAdversarial(AbstractLossRate):
    """lr ← lr·max(z/κ, ε), z the average of 1/(2 + L): a small loss takes long steps, at most lr/(2κ).

    Unverified: the paper's text was not at hand; this is the default of the public code.
    """

    def amount(self, z: float) -> float:
        """Return z."""
        return z


@piece(source=_SOURCE)
@dataclass(frozen=True)
class LossCompliant(AbstractLossRate):
    """lr ← lr·max((1 − z)/κ, ε), z the average of 1/(2 + L): a large loss takes long steps.

    It starts near lr/κ and never falls below lr/(2κ), even at no loss: it does not anneal, whatever its slogan says.
    Unverified: the paper's text was not at hand.
    """

    def amount(self, z: float) -> float:
        """Return 1 − z."""
        return 1.0 - z


@piece(source=_SOURCE)
@dataclass(frozen=True)
class LossLinear(AbstractLossRate):
    """lr ← lr·max(z/κ, ε), z the average of L itself: the rate follows the loss down, and has no upper bound.

    One loss of 1e4 adds 1 to the factor at κ = 10 and β = 0.999. κ = 10 is the first public version's; 0.2 to 0.3 times the
    first loss is its advice for images. Unverified: the paper's own rule as quoted by that version.
    """

    kappa: Positive = 10.0

    def squash(self, loss: float) -> float:
        """Return L."""
        return loss

    def amount(self, z: float) -> float:
        """Return z."""
        return z
