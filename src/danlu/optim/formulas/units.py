"""Units: the rows of a weight, one per output; a tensor with at most one side longer than 1 is one unit as a whole."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["is_vector", "unit_norm", "unit_numel", "units_of"]


def is_vector(x: Tensor) -> bool:
    """Whether x is a scalar or a vector once sides of length 1 are dropped: a bias, or a gain of shape (O, 1, 1, 1)."""
    return sum(n != 1 for n in x.shape) <= 1


def units_of(x: Tensor) -> Tensor:
    """Return x as a matrix of its units: (O, n) for a weight (O, …), (1, n) for a vector."""
    return x.reshape(1, -1) if is_vector(x) else x.flatten(1)


def unit_norm(x: Tensor) -> Tensor:
    """Return ‖xₒ‖ of every unit, to be broadcast over x: (O, 1, …) for a weight (O, …), 0-d for a vector."""
    return torch.linalg.vector_norm(x, dim=None if is_vector(x) else tuple(range(1, x.ndim)), keepdim=not is_vector(x))


def unit_numel(x: Tensor) -> int:
    """Return how many elements one unit has, 1 for units of none, so that there is a mean of nothing."""
    return max(1, x.numel() if is_vector(x) else math.prod(x.shape[1:]))
