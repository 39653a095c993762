"""The order of an epoch: which row stands where."""

from __future__ import annotations

import torch
from torch import Tensor

from danlu.keyed import generator

__all__ = ["check_weights", "order", "times_before"]


def order(rows: int, seed: int, epoch: int, *, shuffle: bool, weights: Tensor | None = None) -> Tensor:
    """Return the rows of an epoch in their order, a function of (seed, epoch).

    Without weights it is a permutation, or 0 … n − 1 without `shuffle`. With weights it is n independent draws with
    P(row i) = wᵢ/Σw: a row comes more than once or not at all.

    Args:
        rows: n.
        seed: what the order depends on beside the epoch.
        epoch: its number.
        shuffle: whether a permutation is drawn.
        weights: w, shape (n,), or None.

    Returns:
        n whole numbers in [0, n).
    """
    draw = generator(seed, "order", epoch)
    if weights is not None:
        sums = weights.double().cpu().cumsum(0)  # where the numbers are drawn
        return torch.searchsorted(sums, torch.rand(rows, generator=draw, dtype=torch.float64) * sums[-1], right=True)
    return torch.randperm(rows, generator=draw) if shuffle else torch.arange(rows)


def times_before(rows: Tensor) -> Tensor:
    """Count, for each place in an order, how often the row that stands there has come before.

    Args:
        rows: whole numbers, shape (n,).

    Returns:
        Shape (n,); all 0 for a permutation.
    """
    found, places = rows.sort(stable=True)
    at = torch.arange(len(rows))
    first = torch.where(found.diff(prepend=found[:1] - 1) != 0, at, 0).cummax(0).values
    return torch.empty_like(rows).scatter_(0, places, at - first)


def check_weights(owner: str, weights: Tensor | None, rows: int, *, shuffle: bool) -> None:
    """Check that the weights of an order fit.

    Raises:
        ValueError: unless there is one number ≥ 0 per row, finite, not all 0, and the order is shuffled.
    """
    if weights is None:
        return
    if not shuffle:
        raise ValueError(f"{owner}: weights draw the rows at random; leave out shuffle=False")
    if weights.shape != (rows,) or not bool(weights.isfinite().all()) or bool((weights < 0).any()) or not bool(weights.any()):
        got = f"shape {list(weights.shape)}" if weights.shape != (rows,) else "others"
        raise ValueError(f"{owner}: weights must be {rows} finite numbers ≥ 0, one per row, not all 0; got {got}")
