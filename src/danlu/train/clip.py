"""Clipping by the global norm: n_max/max(‖g‖, n_max)."""

from __future__ import annotations

from danlu.ranges import Positive

__all__ = ["clip_coefficient"]


def clip_coefficient(norm: float, max_norm: Positive) -> float:
    """n_max/max(‖g‖, n_max), what every gradient is multiplied by: 1 up to n_max, and above it the norm becomes n_max.

    ‖g‖ is the 2-norm of all gradients of the update taken as one vector, so their direction is kept. Nothing is
    added to the denominator: torch's `clip_grad_norm_` multiplies by min(1, n_max/(‖g‖ + 10⁻⁶)), which is smaller by
    a relative 10⁻⁶/‖g‖ and clips already a little below n_max.

    Source: Pascanu, Mikolov and Bengio 2013 (arXiv:1211.5063), algorithm 1.

    Args:
        norm: ‖g‖, finite; clipping cannot mend a gradient that is not.
        max_norm: n_max, in the unit of the gradient of the mean loss.

    Returns:
        The coefficient, in (0, 1].
    """
    return max_norm / max(norm, max_norm)
