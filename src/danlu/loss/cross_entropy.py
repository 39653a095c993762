"""Cross-entropy of classes: −log softmax(z)_y, summed over the targets that count."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from danlu.loss.loss_sum import LossSum

__all__ = ["cross_entropy"]


def cross_entropy(logits: Tensor, target: Tensor, *, ignore_index: int = -100) -> LossSum:
    """Σ −log softmax(z)_y over the targets y ≠ ignore_index, in nats; the count is the number of those targets.

    The classes are the LAST dimension, for pictures (N, K) and text (N, T, K) alike. `torch.nn.functional` has them
    second; ``logits.movedim(1, -1)`` turns one into the other. The softmax is taken in float32 or wider. When every
    target is ignored the total is 0 and so is its gradient, and the count is 0.

    Args:
        logits: z, shape (…, K), unnormalised log-probabilities.
        target: y, shape (…), whole numbers in [0, K) or `ignore_index`.
        ignore_index: the target that marks an item as absent; -100 as in torch.

    Returns:
        The sum, the count, and the measure "accuracy": how often argmax z = y, over the same targets.

    Raises:
        ValueError: when the shapes do not fit.
        TypeError: when the target is not a tensor of whole numbers.
    """
    if target.is_floating_point() or target.is_complex():
        raise TypeError(f"cross_entropy: target must hold class numbers (int64), got {target.dtype}; use target.long()")
    if logits.ndim < 1 or logits.shape[:-1] != target.shape:
        shapes = f"logits {tuple(logits.shape)} and target {tuple(target.shape)}"
        raise ValueError(f"cross_entropy: logits must be (…, K) and target (…), got {shapes}; K is the last dimension")
    z = logits.reshape(-1, logits.shape[-1])
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    y = target.reshape(-1).long()
    total = functional.cross_entropy(z, y, reduction="sum", ignore_index=ignore_index)
    valid = y != ignore_index
    count = valid.sum()
    right = ((z.detach().argmax(-1) == y) & valid).sum()
    return LossSum(total, count, {"accuracy": (right, count)})
