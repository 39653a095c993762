"""The exponential moving average of the weights, in the warm-up forms that are in use."""

from __future__ import annotations

from dataclasses import dataclass

from danlu.optim.average.running import AbstractRunning
from danlu.optim.catalog import piece
from danlu.ranges import Beta, Positive, check, hints

__all__ = ["Ema", "EmaPower", "EmaRatio", "half_life"]


def half_life(steps: Positive) -> float:
    """Return the decay 2^(−1/steps), under which a weight of the past has half its influence after `steps` steps.

    Args:
        steps: the half-life.

    Returns:
        ρ for `Ema`; about 1 − ln2/steps.

    Raises:
        ValueError: if `steps` is out of its range.
    """
    check("half_life", hints(half_life), {"steps": steps})
    return 0.5 ** (1.0 / steps)


@piece(source="Polyak & Juditsky 1992; source 000; torch.optim.swa_utils (constant), optax.ema (debias)")
@dataclass(frozen=True)
class Ema(AbstractRunning):
    """E ← E + (1 − ρ)·(p − E) from E = p₀: the mean of about the last 1/(1 − ρ) steps' weights.

    It uses the weights after the step; source 000 prints those before it. With looks n steps apart the decay is ρⁿ, so that ρ
    stays a decay per step.

    Args:
        decay: ρ per step; `half_life` gives it from a number of steps.
        debias: leave p₀ out: w = (1 − ρ)/(1 − ρᵗ), as if the average had begun at 0 and been divided by 1 − ρᵗ.
    """

    decay: Beta = 0.999
    debias: bool = False

    def weight(self, n: int) -> float:
        """Return 1 − ρ, or (1 − ρ)/(1 − ρⁿ), with ρ over the steps between two looks."""
        rho = self.decay**self.every
        return (1.0 - rho) / (1.0 - rho**n) if self.debias else 1.0 - rho


@piece(source="tf.train.ExponentialMovingAverage (num_updates)")
@dataclass(frozen=True)
class EmaRatio(AbstractRunning):
    """E ← E + (1 − ρₙ)·(p − E) with ρₙ = min(ρ, n/(9 + n)): a short memory that grows with the looks n up to ρ's.

    Args:
        decay: ρ, the largest decay of one look.
    """

    decay: Beta = 0.999

    def weight(self, n: int) -> float:
        """Return 1 − min(ρ, n/(9 + n))."""
        return 1.0 - min(self.decay, n / (9 + n))


@piece(source="timm.utils.ModelEmaV3 (use_warmup)")
@dataclass(frozen=True)
class EmaPower(AbstractRunning):
    """E ← E + (1 − ρₙ)·(p − E) with ρₙ = min(ρ, 1 − (1 + (n − 1)/γ)^(−κ)): the first look copies p.

    Args:
        decay: ρ, the largest decay of one look.
        gamma: γ, in looks: how long the memory stays short.
        power: κ; 2/3 reaches 0.999 in 32 thousand looks, 3/4 in 10 thousand.
    """

    decay: Beta = 0.9999
    gamma: Positive = 1.0
    power: Positive = 2.0 / 3.0

    def weight(self, n: int) -> float:
        """Return 1 − min(ρ, 1 − (1 + (n − 1)/γ)^(−κ))."""
        return 1.0 - min(self.decay, 1.0 - (1.0 + (n - 1) / self.gamma) ** -self.power)
