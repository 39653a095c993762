"""RAdam's rectification: how much less the adaptive step varies than in its first steps."""

from __future__ import annotations

from typing import Annotated

from danlu.ranges import Interval

__all__ = ["Rectifiable", "Threshold", "rectification"]

Rectifiable = Annotated[float, Interval(0.6, 1.0, "neither")]  # ρ∞ > 4
Threshold = Annotated[float, Interval(4.0, 1000.0, "left")]  # below 4 the factor is not real


def rectification(beta2: Rectifiable, t: int, threshold: Threshold) -> float | None:
    """Return rₜ = √((ρₜ−4)(ρₜ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρₜ)), or None while ρₜ ≤ threshold, where √v̂ varies too much to divide by.

    ρₜ = ρ∞ − 2t·β₂ᵗ/(1 − β₂ᵗ) is the length of a simple average that varies as much as v̂ₜ, and ρ∞ = 2/(1 − β₂) − 1 where it
    tends to; rₜ → 1. Liu et al. 2019, arXiv:1908.03265, sections 3.2 to 4.

    Args:
        beta2: β₂, memory of the second moment.
        t: number of the step, from 1.
        threshold: 5 as in torch, 4 as in the paper.
    """
    last = 2.0 / (1.0 - beta2) - 1.0
    power = beta2**t
    rho = last - 2.0 * t * power / (1.0 - power)
    if rho <= threshold:
        return None
    return (((rho - 4) * (rho - 2) * last) / ((last - 4) * (last - 2) * rho)) ** 0.5
