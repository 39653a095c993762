"""Rare classes: how often to draw them, and how to make them."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from danlu.keyed import generator
from danlu.ranges import Fraction, Interval, check, hints

__all__ = ["balancing_weights", "long_tailed"]

Ratio = Annotated[float, Interval(1.0, math.inf, "left")]


def balancing_weights(labels: Tensor, class_weights: Tensor | None = None, *, power: Fraction = 0.0) -> Tensor:
    """wᵢ = n_y^(q − 1) with y the class of row i: a class of n items is then drawn with P ∝ n^q.

    q = 1 draws every item alike, q = 0 every class alike (inverse frequency), q = ½ is the square root between them.
    Other balances come as weights of classes, wᵢ = v_y: for the effective number of items, ``class_balanced_weights``
    of `danlu.loss`. Balancing by q = 0 shows the few items of a rare class many times in an epoch: learn the features
    with q = 1 or ½ and rebalance only the last layer, or the last epochs (Kang et al., 2020, arXiv:1910.09217).

    Args:
        labels: y, shape (n,), whole numbers from 0.
        class_weights: v, shape (K,), at least 0; None for those of `power`.
        power: q.

    Returns:
        Shape (n,), float64, for the `weights` of a loader.

    Raises:
        ValueError: on labels that are no classes, or fewer class weights than classes.
    """
    check("balancing_weights", hints(balancing_weights), {"power": power})
    counts = _counts("balancing_weights", labels)
    if class_weights is None:
        class_weights = counts.double().clamp(min=1) ** (power - 1.0)
    elif class_weights.ndim != 1 or len(class_weights) < len(counts):
        got = list(class_weights.shape)
        raise ValueError(f"balancing_weights: class_weights must have one number for each of {len(counts)} classes, got {got}")
    return class_weights.double()[labels]


def long_tailed(labels: Tensor, *, ratio: Ratio, seed: int = 0) -> Tensor:
    """Choose rows so that class k of K keeps n_k = ⌊n₀·ratio^(−k/(K − 1))⌋ of its items, n₀ those of the smallest class.

    The exponential long tail of Cui et al., 2019 (arXiv:1901.05555), and Cao et al., 2019 (LDAM, arXiv:1906.07413): class
    0 is the most frequent, class K − 1 has `ratio` times fewer, at least 1. Which items stay is drawn by (seed, class),
    and a larger ratio keeps a part of what a smaller one keeps. Departs from the papers, whose classes have equal sizes:
    n₀ is that of the smallest class, so that the order of the classes holds in any data.

    Args:
        labels: shape (n,), whole numbers from 0, every class with at least one item.
        ratio: of the largest to the smallest class; 1 makes all classes equal.
        seed: what the choice depends on.

    Returns:
        The chosen rows in rising order, for ``images[rows], labels[rows]``.

    Raises:
        ValueError: on labels that are no classes, a class without items, or a ratio below 1.
    """
    check("long_tailed", hints(long_tailed), {"ratio": ratio})
    counts = _counts("long_tailed", labels)
    if not bool(counts.all()):
        raise ValueError(f"long_tailed: class {int((counts == 0).nonzero()[0])} has no item; number the classes without gaps")
    kept = []
    for k in range(len(counts)):
        of_class = (labels == k).nonzero()[:, 0]
        n = max(1, math.floor(int(counts.min()) * ratio ** (-k / max(1, len(counts) - 1)) + 1e-9))
        kept.append(of_class[torch.randperm(len(of_class), generator=generator(seed, "long tail", k))[:n]])
    return torch.cat(kept).sort().values


def _counts(owner: str, labels: Tensor) -> Tensor:
    if labels.ndim != 1 or labels.is_floating_point() or not len(labels) or int(labels.min()) < 0:
        what = f"shape {list(labels.shape)} of {labels.dtype}"
        raise ValueError(f"{owner}: labels must be whole numbers ≥ 0, one per row, got {what}")
    return torch.bincount(labels)
