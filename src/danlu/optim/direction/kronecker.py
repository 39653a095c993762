"""Kronecker factors: a square matrix for each axis of a tensor, together in one flat state tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import torch
from torch import Tensor

from danlu.ranges import Interval, Structural

__all__ = ["Factors", "MaxSize", "along", "gram", "pack", "start", "unpack"]

MaxSize = Annotated[int, Interval(1, math.inf, "left"), Structural()]
Factors: TypeAlias = list[Tensor | None]  # by axis; None stands for the identity


def start(p: Tensor, sizes: Sequence[int], scale: float) -> Tensor:
    """Return the packed factors scale·I, for axes of these sizes; 0 for an axis without a matrix."""
    return pack([torch.eye(n, dtype=p.dtype, device=p.device) * scale if n else None for n in sizes], p)


def unpack(flat: Tensor, sizes: Sequence[int]) -> Factors:
    """Return the factor (n, n) of every axis."""
    blocks = flat.split([n * n for n in sizes])
    return [block.view(n, n) if n else None for block, n in zip(blocks, sizes, strict=True)]


def pack(factors: Factors, like: Tensor) -> Tensor:
    """Return the factors as one flat tensor of the kind of `like`; it may be empty."""
    return torch.cat([like.new_zeros(0), *(factor.flatten() for factor in factors if factor is not None)])


def gram(x: Tensor, axis: int) -> Tensor:
    """Return the inner products (n, n) of x's slices along an axis of size n: x·xᵀ for the rows of a matrix."""
    rows = x.movedim(axis, 0).flatten(1) if x.ndim > 1 else x.unsqueeze(1)
    return rows @ rows.mT


def along(x: Tensor, factors: Factors, transpose: bool = False) -> Tensor:
    """Return x times the factor of every axis along that axis: Lᵀ·x·R for a matrix, L·x·Rᵀ when transposed."""
    for axis, factor in enumerate(factors):
        if factor is not None:
            x = torch.tensordot(x, factor.mT if transpose else factor, dims=([axis], [0])).movedim(-1, axis)
    return x
