"""Logit adjustment: train as if the classes were as frequent as they are, judge as if they were equally so."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from danlu.loss.classes import check_per_class, flat, with_accuracy
from danlu.loss.loss_sum import LossSum
from danlu.loss.reduction import Reduction, total
from danlu.loss.registry import named
from danlu.loss.smoothing import Smoothing, share
from danlu.ranges import NonNegative, check, hints

__all__ = ["logit_adjusted"]


@named(source="Menon et al., 2020, arXiv:2007.07314, eq. 10")
def logit_adjusted(
    logits: Tensor,
    target: Tensor,
    frequency: Tensor,
    *,
    tau: NonNegative = 1.0,
    ignore_index: int = -100,
    smoothing: Smoothing | None = None,
    reduce: Reduction = total,
) -> LossSum:
    """Σ −log softmax(z + τ·log π)_y: cross-entropy in which class k has a head start of τ·log πₖ.

    What the head start explains, z need not learn: at τ = 1 the minimiser's argmax z is the class with the largest
    P(x | y), which has the lowest error averaged over classes. τ = 0, or equal frequencies, is `cross_entropy`.

    Args:
        logits: z, shape (…, K); plain logits, also when predicting: the head start is for training only.
        target: y, shape (…).
        frequency: how often each class occurs, shape (K,), above 0, such as counts: π is frequency/Σ frequency.
        tau: τ.
        ignore_index: the target that marks an item as absent.
        smoothing: as in `cross_entropy`.
        reduce: as in `cross_entropy`.

    Returns:
        The sum, the count, and the measure "accuracy" of the plain logits.

    Raises:
        ValueError: when the shapes do not fit, τ is negative, or a class never occurs (not looked for under torch.compile).
        TypeError: when the target is not a tensor of whole numbers.
    """
    check("logit_adjusted", _RANGES, {"tau": tau})
    z, y = flat("logit_adjusted", logits, target)
    check_per_class("logit_adjusted", "frequency", frequency, z.shape[-1])
    # keep the frequencies on the CPU, and this waits for nothing; compiled it would cut the graph in two
    if not torch.compiler.is_compiling() and not bool((frequency > 0).all()):
        raise ValueError("logit_adjusted: every frequency must be above 0; a class that never occurs needs no logit: drop it")
    log_prior = (frequency / frequency.sum()).to(z).log()
    eps = share(smoothing, z.shape[-1])
    items = functional.cross_entropy(z + tau * log_prior, y, reduction="none", ignore_index=ignore_index, label_smoothing=eps)
    valid = y != ignore_index
    return with_accuracy(reduce(items, valid), z, y, valid)


_RANGES = hints(logit_adjusted)  # once, here: torch.compile cannot trace how they are found
