"""Cross-entropy of yes and no: each element is a question of its own."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from danlu.loss.elementwise import paired, reduced
from danlu.loss.loss_sum import LossSum
from danlu.loss.reduction import Reduction, total
from danlu.loss.registry import named
from danlu.ranges import Fraction, check, hints

__all__ = ["binary_cross_entropy"]


@named(source="torch.nn.functional.binary_cross_entropy_with_logits")
def binary_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    smoothing: Fraction = 0.0,
    mask: Tensor | None = None,
    reduce: Reduction = total,
) -> LossSum:
    """Σ −y·log σ(z) − (1 − y)·log(1 − σ(z)) over all elements, in nats; the count is their number.

    Takes logits, not probabilities: log σ(z) is exact for every z, where log of a rounded probability is −∞.

    Args:
        logits: z, any shape.
        target: y in [0, 1], the same shape, also as booleans.
        smoothing: ε of y ← (1 − ε)·y + ε/2, which is `SmoothAll` for two classes.
        mask: as in `mean_squared_error`.
        reduce: as in `mean_squared_error`.

    Returns:
        The sum and the number of elements.

    Raises:
        ValueError: when the shapes differ, or ε is not in [0, 1].
    """
    check("binary_cross_entropy", _RANGES, {"smoothing": smoothing})
    z, y = paired("binary_cross_entropy", logits, target, mask)
    y = (1 - smoothing) * y + smoothing / 2
    return reduced(functional.binary_cross_entropy_with_logits(z, y.to(z.dtype), reduction="none"), mask, reduce)


_RANGES = hints(binary_cross_entropy)  # once, here: torch.compile cannot trace how they are found
