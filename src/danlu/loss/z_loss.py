"""z-loss: keeps the normaliser of the softmax near 1."""

from __future__ import annotations

import torch
from torch import Tensor

from danlu.loss.classes import wide
from danlu.loss.loss_sum import LossSum
from danlu.loss.reduction import Reduction, total
from danlu.loss.registry import named

__all__ = ["z_loss"]


@named(source="Chowdhery et al., 2022 (PaLM), arXiv:2204.02311, section 5")
def z_loss(logits: Tensor, *, mask: Tensor | None = None, reduce: Reduction = total) -> LossSum:
    """Σ (log Σₖ exp zₖ)² over the items; the count is their number.

    Cross-entropy does not see a constant added to all logits of an item; this does, and so stops logits from drifting
    to sizes that bfloat16 resolves badly. A part beside cross-entropy, not a loss of its own; the paper's weight is
    1e-4: ``joint({"nll": cross_entropy(z, y), "z": z_loss(z, mask=y != -100)}, {"nll": 1.0, "z": 1e-4})``.

    Args:
        logits: z, shape (…, K).
        mask: shape (…), False for an item that is absent; None when all are there.
        reduce: as in `cross_entropy`.

    Returns:
        The sum and the count.

    Raises:
        ValueError: when the mask does not fit.
    """
    if mask is not None and mask.shape != logits.shape[:-1]:
        raise ValueError(f"z_loss: the mask must be {tuple(logits.shape[:-1])}, one per item, got {tuple(mask.shape)}")
    present = None if mask is None else mask.reshape(-1).bool()
    z = wide(logits).reshape(-1, logits.shape[-1])
    items = torch.logsumexp(z if present is None else torch.where(present[:, None], z, 0.0), -1).square()
    return reduce(items if present is None else torch.where(present, items, 0.0), present)
