"""A non-negative matrix as its row and column means, and back: the best rank-1 factors in generalised KL divergence."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["expanded", "means"]


def means(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means over columns (…, m) and over rows (…, n) of x (…, m, n); 0 where there is nothing to average."""
    rows, columns = x.shape[-2:]
    return x.sum(-1) / max(columns, 1), x.sum(-2) / max(rows, 1)


def expanded(row: Tensor, col: Tensor) -> Tensor:
    """Return rᵢ·cⱼ/mean(r), (…, m, n): its row and column means are r and c again.

    Dividing r by its mean first keeps every factor in range: mean(r)/(rᵢ·cⱼ), which one could take the root of instead, is inf
    in float32 where a row and a column of 1e-30 cross. Here that cell is 0. All zeros give zeros.
    """
    mean = row.mean(-1, keepdim=True).clamp_min(torch.finfo(row.dtype).tiny)
    return (row / mean).unsqueeze(-1) * col.unsqueeze(-2)
