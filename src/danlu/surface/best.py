"""The learning rate that a picture uses, and how it was found."""

from __future__ import annotations

import torch

from danlu.optim.rule import Rule
from danlu.surface.surface import Surface
from danlu.surface.trace import trace

__all__ = ["best_lr"]

_RATES = tuple(10.0 ** (k / 3) for k in range(-15, 7))  # 1e-5 to 1e2, three to the decade


def best_lr(rule: Rule, surface: Surface, steps: int = 300) -> float:
    """Return which of 22 learning rates, 10⁻⁵ to 10², three to the decade, ends lowest from the surface's own start.

    It is the best case, of one start and without noise: a picture at this rate flatters every rule alike.

    Args:
        rule: the rule.
        surface: the surface.
        steps: updates.

    Raises:
        ValueError: when every rate diverges.
    """
    final = trace(rule, surface, surface.start, _RATES, steps, every=steps).loss[:, 0, -1]
    if bool(final.isnan().all()):
        raise ValueError(f"best_lr: every learning rate from {_RATES[0]:g} to {_RATES[-1]:g} diverges")
    return _RATES[int(torch.where(final.isnan(), torch.inf, final).argmin())]
