"""Squared error: (x − y)², summed over all elements."""

from __future__ import annotations

import torch
from torch import Tensor

from danlu.loss.loss_sum import LossSum

__all__ = ["mean_squared_error"]


def mean_squared_error(output: Tensor, target: Tensor) -> LossSum:
    """Σ (x − y)² over all elements; the count is their number, so that the mean is torch's `mse_loss`.

    Args:
        output: x, any shape; its squares are summed in float32 or wider.
        target: y, the same shape: nothing is broadcast, since (N,) against (N, 1) would be N² errors.

    Returns:
        The sum and the number of elements.

    Raises:
        ValueError: when the shapes differ.
    """
    if output.shape != target.shape:
        shapes = f"{tuple(output.shape)} and {tuple(target.shape)}"
        raise ValueError(f"mean_squared_error: output and target must have one shape, got {shapes}; reshape one")
    wide = torch.promote_types(output.dtype, torch.float32)
    return LossSum((output.to(wide) - target).square().sum(), output.numel())
