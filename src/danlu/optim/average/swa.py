"""Means over the whole way: plain, and with weights that grow like a power of the step."""

from __future__ import annotations

from dataclasses import dataclass

from danlu.optim.average.running import AbstractRunning
from danlu.optim.catalog import piece
from danlu.ranges import NonNegative

__all__ = ["Polynomial", "Swa"]


@piece(source="Izmailov et al. 2018 (SWA), arXiv:1803.05407; torch.optim.swa_utils.AveragedModel")
@dataclass(frozen=True)
class Swa(AbstractRunning):
    """E ← E + (p − E)/n: the mean of n snapshots, all of one weight; meant for the last quarter at a constant or cyclic lr.

    `start` is where the run's last part begins and `every` an epoch; both are counted in steps.
    """

    def weight(self, n: int) -> float:
        """Return 1/n."""
        return 1.0 / n


@piece(source="Shamir & Zhang 2013 (polynomial-decay averaging), arXiv:1212.1824; Ivgi et al. 2023 (DoG), arXiv:2302.12022")
@dataclass(frozen=True)
class Polynomial(AbstractRunning):
    """E ← E + (p − E)·(1 + γ)/(n + γ): the mean of all p with weights that grow about like n^γ, so the start is forgotten.

    Args:
        gamma: γ; 0 is the plain mean, 8 is what DoG takes.
    """

    gamma: NonNegative = 8.0

    def weight(self, n: int) -> float:
        """Return (1 + γ)/(n + γ)."""
        return (1.0 + self.gamma) / (n + self.gamma)
