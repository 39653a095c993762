"""What losses of single elements have in common: one shape, a wide dtype, and a mask."""

from __future__ import annotations

import torch
from torch import Tensor

from danlu.loss.classes import wide
from danlu.loss.loss_sum import LossSum
from danlu.loss.reduction import Reduction

__all__ = ["paired", "reduced"]


def paired(owner: str, output: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return output and target in float32 or wider, with zeros where the mask is False.

    Raises:
        ValueError: when the shapes differ: nothing is broadcast, since (N,) against (N, 1) would be N² errors.
    """
    if output.shape != target.shape:
        shapes = f"{tuple(output.shape)} and {tuple(target.shape)}"
        raise ValueError(f"{owner}: output and target must have one shape, got {shapes}; reshape one")
    if mask is not None and mask.shape != output.shape:
        fix = f"got {tuple(mask.shape)}; use mask.expand_as(output)"
        raise ValueError(f"{owner}: mask must have the shape of the output, {tuple(output.shape)}, {fix}")
    x, y = wide(output), wide(target)
    if mask is None:
        return x, y
    return torch.where(mask.bool(), x, 0.0), torch.where(mask.bool(), y, 0.0)


def reduced(items: Tensor, mask: Tensor | None, reduce: Reduction) -> LossSum:
    """Reduce the losses of elements, those outside the mask as absent."""
    if mask is None:
        return reduce(items.reshape(-1), None)
    present = mask.reshape(-1).bool()
    return reduce(torch.where(present, items.reshape(-1), 0.0), present)
