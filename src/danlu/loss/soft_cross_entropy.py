"""Cross-entropy against distributions: soft targets, as mixup, cutmix and teachers give them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from danlu.loss.classes import check_per_class, wide
from danlu.loss.loss_sum import LossSum
from danlu.loss.reduction import Reduction, total
from danlu.loss.registry import named
from danlu.loss.smoothing import Smoothing, share

__all__ = ["soft_cross_entropy"]


@named(source="Zhang et al., 2017 (mixup), arXiv:1710.09412; torch.nn.functional.cross_entropy")
def soft_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    mask: Tensor | None = None,
    smoothing: Smoothing | None = None,
    class_weights: Tensor | None = None,
    reduce: Reduction = total,
) -> LossSum:
    """Σ −Σₖ wₖ·qₖ·log softmax(z)_k over the items; the count is their number, or Σ Σₖ wₖ·qₖ with class weights.

    Linear in q: for q = λ·onehot(a) + (1 − λ)·onehot(b) it is λ·CE(a) + (1 − λ)·CE(b), so mixup needs no other loss. On
    one-hot rows it is `cross_entropy`, weights and count included; torch divides by the number of rows there, weighted
    or not. Smoothing q after mixing is the same as smoothing before it.

    Args:
        logits: z, shape (…, K).
        target: q, shape (…, K), rows that sum to 1 (not checked).
        mask: shape (…), False for an item that is absent; None when all are there.
        smoothing: replaces q by (1 − ε)·q + ε/K; the count keeps the q given.
        class_weights: w, shape (K,), at least 0.
        reduce: as in `cross_entropy`.

    Returns:
        The sum and the count. Accuracy is not defined for mixed targets.

    Raises:
        ValueError: when the shapes do not fit.
        TypeError: when the target holds class numbers.
    """
    if not target.is_floating_point():
        raise TypeError(f"soft_cross_entropy: target must hold distributions, got {target.dtype}; use cross_entropy")
    if logits.ndim < 1 or logits.shape != target.shape or (mask is not None and mask.shape != target.shape[:-1]):
        shapes = f"{tuple(logits.shape)}, {tuple(target.shape)}{'' if mask is None else f' and {tuple(mask.shape)}'}"
        raise ValueError(f"soft_cross_entropy: logits and target must both be (…, K) and a mask (…), got {shapes}")
    classes = logits.shape[-1]
    z = wide(logits).reshape(-1, classes)
    q = target.reshape(-1, classes).to(z)
    weights = None if mask is None else mask.reshape(-1).bool()
    if weights is not None:  # before the formula: what is absent may hold nan
        z, q = (torch.where(weights[:, None], x, 0.0) for x in (z, q))
    w = None
    if class_weights is not None:
        check_per_class("soft_cross_entropy", "class_weights", class_weights, classes)
        w = class_weights.to(z)
        weights = (q * w).sum(-1)
    items = functional.cross_entropy(z, q, weight=w, reduction="none", label_smoothing=share(smoothing, classes))
    return reduce(items if mask is None else torch.where(mask.reshape(-1).bool(), items, 0.0), weights)
