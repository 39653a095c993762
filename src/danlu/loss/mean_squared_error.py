"""Squared error: (x − y)², summed over all elements."""

from __future__ import annotations

from torch import Tensor

from danlu.loss.elementwise import paired, reduced
from danlu.loss.loss_sum import LossSum
from danlu.loss.reduction import Reduction, total
from danlu.loss.registry import named

__all__ = ["mean_squared_error"]


@named(source="torch.nn.functional.mse_loss")
def mean_squared_error(output: Tensor, target: Tensor, *, mask: Tensor | None = None, reduce: Reduction = total) -> LossSum:
    """Σ (x − y)² over all elements; the count is their number, so that the mean is torch's `mse_loss`.

    Args:
        output: x, any shape; its squares are summed in float32 or wider.
        target: y, the same shape: nothing is broadcast, since (N,) against (N, 1) would be N² errors.
        mask: the same shape, False for an element that is absent, whatever it holds; None when all are there.
        reduce: `total`, or such as `TrimmedMean`; its items are the elements.

    Returns:
        The sum and the number of elements.

    Raises:
        ValueError: when the shapes differ.
    """
    x, y = paired("mean_squared_error", output, target, mask)
    return reduced((x - y).square(), mask, reduce)
