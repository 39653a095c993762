"""Focal losses: items that are right already count less."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from danlu.loss.classes import counted, flat, with_accuracy
from danlu.loss.elementwise import paired, reduced
from danlu.loss.loss_sum import LossSum
from danlu.loss.reduction import Reduction, total
from danlu.loss.registry import named
from danlu.ranges import Fraction, NonNegative, check, hints

__all__ = ["binary_focal", "focal"]

_SOURCE = "Lin et al., 2017, arXiv:1708.02002"


@named(source=_SOURCE, kind="classes")
def focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: NonNegative = 2.0,
    ignore_index: int = -100,
    class_weights: Tensor | None = None,
    reduce: Reduction = total,
) -> LossSum:
    """Σ −w_y·(1 − p_y)^γ·log p_y, p = softmax(z); γ = 0 is `cross_entropy`.

    At γ = 2 an item with p_y = 0.9 adds 1/100 of its cross-entropy, one with p_y = 0.1 adds 4/5. The count does not
    shrink with the factor, so the mean gradient does: lr has other units than under cross-entropy.

    Args:
        logits: z, shape (…, K).
        target: y, shape (…).
        gamma: γ.
        ignore_index: the target that marks an item as absent.
        class_weights: w, shape (K,), the paper's α; the count is then Σ w_y.
        reduce: as in `cross_entropy`.

    Returns:
        The sum, the count, and the measure "accuracy".

    Raises:
        ValueError: when the shapes do not fit, or γ is negative.
        TypeError: when the target is not a tensor of whole numbers.
    """
    check("focal", _FOCAL, {"gamma": gamma})
    z, y = flat("focal", logits, target)
    valid = y != ignore_index
    weights, w = counted("focal", y, valid, class_weights, z)
    nll = functional.cross_entropy(z, y, reduction="none", ignore_index=ignore_index)
    items = _modulated(nll, gamma) if w is None else weights * _modulated(nll, gamma)
    return with_accuracy(reduce(items, weights), z, y, valid)


@named(source=f"{_SOURCE}; torchvision.ops.sigmoid_focal_loss")
def binary_focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: NonNegative = 2.0,
    alpha: Fraction = 0.25,
    mask: Tensor | None = None,
    reduce: Reduction = total,
) -> LossSum:
    """Σ −α_t·(1 − p_t)^γ·log p_t over all elements, p_t = σ(z) and α_t = α where y = 1, else 1 − σ(z) and 1 − α.

    The count is the number of elements. The paper divides by the number of positive ones instead: that is
    ``LossSum(found.total, target.sum())``, as exact when batches are added up.

    Args:
        logits: z, any shape.
        target: y, the same shape, 0 or 1.
        gamma: γ.
        alpha: α, the weight of positive elements; ½ weighs both alike (by ½).
        mask: as in `mean_squared_error`.
        reduce: as in `mean_squared_error`.

    Returns:
        The sum and the number of elements.

    Raises:
        ValueError: when the shapes differ, or γ or α is out of its range.
    """
    check("binary_focal", _BINARY_FOCAL, {"gamma": gamma, "alpha": alpha})
    z, y = paired("binary_focal", logits, target, mask)
    nll = functional.softplus((1 - 2 * y) * z)  # −log p_t, without rounding p_t first
    return reduced((alpha * y + (1 - alpha) * (1 - y)) * _modulated(nll, gamma), mask, reduce)


def _modulated(nll: Tensor, gamma: float) -> Tensor:
    """(1 − p)^γ·(−log p) from −log p."""
    wrong = -torch.expm1(-nll)
    # at p = 1 the power's derivative is infinite for γ < 1, and that times 0 would be nan
    return wrong.clamp_min(torch.finfo(nll.dtype).tiny) ** gamma * nll


_FOCAL = hints(focal)  # once, here: torch.compile cannot trace how they are found
_BINARY_FOCAL = hints(binary_focal)
