"""The cover of a tensor by its slices: per axis a vector of maxima, and the smallest of them at each element."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

__all__ = ["least", "maxima"]


def maxima(x: Tensor) -> list[Tensor]:
    """Return for each axis a the vector (nₐ) of the largest element of every slice; zeros where slices are empty."""
    if not x.numel():
        return [x.new_zeros(n) for n in x.shape]
    return [x.amax([b for b in range(x.ndim) if b != a]) for a in range(x.ndim)]


def least(vectors: Sequence[Tensor]) -> Tensor:
    """Return minₐ vectorsₐ(iₐ) at each element (i₁, …, i_k): not below what `maxima` was taken of."""
    axes = range(len(vectors))
    return reduce(torch.minimum, [x.view([-1 if a == b else 1 for b in axes]) for a, x in enumerate(vectors)])
