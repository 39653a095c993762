"""What losses of classes have in common: flat items in a wide dtype, who of them is there, and the accuracy."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from danlu.loss.loss_sum import LossSum

__all__ = ["check_per_class", "counted", "flat", "wide", "with_accuracy"]


def flat(owner: str, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits as (n, K), in float32 or wider, and class numbers as (n,).

    Raises:
        ValueError: when the shapes do not fit.
        TypeError: when the target is not a tensor of whole numbers.
    """
    if target.is_floating_point() or target.is_complex():
        raise TypeError(f"{owner}: target must hold class numbers (int64), got {target.dtype}; use target.long()")
    if logits.ndim < 1 or logits.shape[:-1] != target.shape:
        shapes = f"logits {tuple(logits.shape)} and target {tuple(target.shape)}"
        raise ValueError(f"{owner}: logits must be (…, K) and target (…), got {shapes}; K is the last dimension")
    return wide(logits).reshape(-1, logits.shape[-1]), target.reshape(-1).long()


def wide(x: Tensor) -> Tensor:
    """Return x in float32 or wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def check_per_class(owner: str, name: str, values: Tensor, classes: int) -> None:
    """Refuse anything but one number per class.

    Raises:
        ValueError: with the shapes.
    """
    if values.shape != (classes,):
        raise ValueError(f"{owner}: {name} must be one number per class, shape ({classes},), got {tuple(values.shape)}")


def counted(owner: str, y: Tensor, valid: Tensor, class_weights: Tensor | None, z: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return what each item counts, and the class weights in the dtype of the logits z."""
    if class_weights is None:
        return valid, None
    check_per_class(owner, "class_weights", class_weights, z.shape[-1])
    w = class_weights.to(z)
    return torch.where(valid, w[torch.where(valid, y, 0)], 0.0), w


def with_accuracy(found: LossSum, z: Tensor, y: Tensor, valid: Tensor) -> LossSum:
    """Add the measure "accuracy": how often argmax z = y over the valid items."""
    right = ((z.detach().argmax(-1) == y) & valid).sum()
    return replace(found, measures={"accuracy": (right, valid.sum())})
