"""Measures of a tensor's size that a constraint bounds, and the pull along their gradients."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["Regularizer", "pull", "size"]

Regularizer = Literal["l2", "l1", "std", "huber"]


def size(norm: Regularizer, p: Tensor) -> Tensor:
    """Return R(p), 0-d: Σp², Σ|p|, the standard deviation (n − 1; 0 for one element), or Σ of Huber's function at 1."""
    if norm == "l2":
        return p.square().sum()
    if norm == "l1":
        return p.abs().sum()
    if norm == "std":
        return p.std() if p.numel() > 1 else p.new_zeros(())
    return torch.where(p.abs() < 1.0, 0.5 * p * p, p.abs() - 0.5).sum()


def pull(norm: Regularizer, p: Tensor, multiplier: Tensor, overshoot: bool) -> Tensor:
    """Return λ·∇R(p); unless `overshoot`, each element no further than to zero ("std": to the mean), where R is least."""
    way = p - p.mean() if norm == "std" else p
    full = _slope(norm, p) * multiplier
    return full if overshoot else way.sign() * torch.minimum(way.abs(), full.abs())


def _slope(norm: Regularizer, p: Tensor) -> Tensor:
    """Return ∇R(p)."""
    if norm == "l2":
        return 2.0 * p
    if norm == "l1":
        return p.sign()
    if norm == "huber":
        return p.clamp(-1.0, 1.0)
    spread = size(norm, p) * (p.numel() - 1)
    return torch.where(spread > 0, (p - p.mean()) / spread, 0.0)
