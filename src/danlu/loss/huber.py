"""Huber's loss: a parabola near 0, straight lines away from it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from danlu.loss.elementwise import paired, reduced
from danlu.loss.loss_sum import LossSum
from danlu.loss.reduction import Reduction, total
from danlu.loss.registry import named
from danlu.ranges import Positive, check, hints

__all__ = ["huber"]


@named(source="Huber, 1964, doi:10.1214/aoms/1177703732; torch.nn.functional.huber_loss")
def huber(
    output: Tensor, target: Tensor, *, delta: Positive = 1.0, mask: Tensor | None = None, reduce: Reduction = total
) -> LossSum:
    """Σ ½·d² where |d| ≤ δ, else δ·(|d| − ½·δ), d = x − y: an element's gradient is d, at most δ in size.

    Args:
        output: x, any shape.
        target: y, the same shape.
        delta: δ, in the units of x.
        mask: as in `mean_squared_error`.
        reduce: as in `mean_squared_error`.

    Returns:
        The sum and the number of elements.

    Raises:
        ValueError: when the shapes differ, or δ is not positive.
    """
    check("huber", _RANGES, {"delta": delta})
    x, y = paired("huber", output, target, mask)
    return reduced(functional.huber_loss(x, y, reduction="none", delta=delta), mask, reduce)


_RANGES = hints(huber)  # once, here: torch.compile cannot trace how they are found
