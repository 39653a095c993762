"""Weights that make up for rare classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from danlu.ranges import Beta, check, hints

__all__ = ["class_balanced_weights"]


def class_balanced_weights(counts: Tensor, *, beta: Beta = 0.999) -> Tensor:
    """wₖ ∝ (1 − β)/(1 − β^nₖ), with mean 1: one over the effective number of items of a class.

    Cui et al., 2019, arXiv:1901.05555. β = 0 weighs all classes alike; β → 1 weighs by 1/nₖ. In between, 1/(1 − β) is
    how many items a class needs until more of them tell nothing new. A class without items has the weight 0.

    Args:
        counts: nₖ, the items of each class, shape (K,), at least 0.
        beta: β; the paper tried 0.9, 0.99, 0.999, 0.9999.

    Returns:
        w, shape (K,), float64; its mean over the classes that have items is 1. For the `class_weights` of a loss.

    Raises:
        ValueError: when no class has an item, a count is negative, or β is not in [0, 1).
    """
    check("class_balanced_weights", hints(class_balanced_weights), {"beta": beta})
    n = counts.to(torch.float64)
    if counts.ndim != 1 or not bool((n >= 0).all()) or not bool((n > 0).any()):
        raise ValueError(f"class_balanced_weights: counts must be one number ≥ 0 per class, not all 0, got {counts.tolist()}")
    # 1 − β^n without losing the digits of β near 1
    new = -torch.expm1(n * math.log(beta)) if beta else (n > 0).double()
    w = torch.where(n > 0, (1 - beta) / new, 0.0)
    return w / w[n > 0].mean()
