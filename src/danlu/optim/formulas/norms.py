"""Sizes of a tensor, and the factors that bound it or set it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from danlu.optim.values import Scalar

__all__ = ["norm_squared", "normalized", "power_sum", "rms", "shrinkage"]


def norm_squared(x: Tensor) -> Tensor:
    """Return ‖x‖² in float64, 0-d: one tensor's share of the squared norm of all."""
    return torch.linalg.vector_norm(x).double().square()


def power_sum(xs: Sequence[Tensor], order: float, dtype: torch.dtype) -> Tensor:
    """Return Σ|x|ᵖ over all elements of tensors on one device (or max|x| for p = ∞) in float64, 0-d.

    Args:
        xs: the tensors; for p = ∞ none is empty.
        order: p.
        dtype: what the norm of each is computed in.
    """
    norms = torch.stack(torch._foreach_norm([*xs], order, dtype)).double()
    return norms.amax() if math.isinf(order) else (norms**order).sum()


def normalized(x: Tensor, eps: Scalar, dim: int | None = None) -> Tensor:
    """Return x/(‖x‖ + ε), with one norm for all of x or for each vector along `dim`."""
    return x / (torch.linalg.vector_norm(x, dim=dim, keepdim=dim is not None) + eps)


def rms(x: Tensor) -> Tensor:
    """Return √mean(x²) of one tensor, 0-d."""
    return x.square().mean().sqrt()


def shrinkage(size: Tensor, bound: Scalar) -> Tensor:
    """Return min(1, bound/size): what to multiply by so that a size keeps below the bound; 1 for a size of 0."""
    return (bound / size).clamp_max(1.0)
