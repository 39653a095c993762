"""Cross-entropy of classes: −log softmax(z)_y, summed over the targets that count."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from danlu.loss.classes import counted, flat, with_accuracy
from danlu.loss.loss_sum import LossSum
from danlu.loss.reduction import Reduction, total
from danlu.loss.registry import named
from danlu.loss.smoothing import Smoothing, share

__all__ = ["cross_entropy"]


@named(source="Szegedy et al., 2015, arXiv:1512.00567 (smoothing); torch.nn.functional.cross_entropy", kind="classes")
def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int = -100,
    smoothing: Smoothing | None = None,
    class_weights: Tensor | None = None,
    reduce: Reduction = total,
) -> LossSum:
    """Σ −log softmax(z)_y over the targets y ≠ ignore_index, in nats; the count is the number of those targets.

    The classes are the LAST dimension, for pictures (N, K) and text (N, T, K) alike. `torch.nn.functional` has them
    second; ``logits.movedim(1, -1)`` turns one into the other. The softmax is taken in float32 or wider. When every
    target is ignored the total is 0 and so is its gradient, and the count is 0.

    With smoothing an item adds (1 − ε)·w_y·(−log p_y) + (ε/K)·Σₖ wₖ·(−log p_k). With class weights w the count is
    Σ w_y, so that the mean is torch's weighted mean, over any number of batches.

    Args:
        logits: z, shape (…, K), unnormalised log-probabilities.
        target: y, shape (…), whole numbers in [0, K) or `ignore_index`.
        ignore_index: the target that marks an item as absent; -100 as in torch.
        smoothing: `SmoothAll` (torch's ε) or `SmoothOthers`; None for none.
        class_weights: w, shape (K,), at least 0, such as `class_balanced_weights`.
        reduce: `total`, or a reduction that does not let each item count alike, such as `SoftMedian`.

    Returns:
        The sum, the count, and the measure "accuracy": how often argmax z = y, over the same targets, unweighted.

    Raises:
        ValueError: when the shapes do not fit.
        TypeError: when the target is not a tensor of whole numbers.
    """
    z, y = flat("cross_entropy", logits, target)
    valid = y != ignore_index
    weights, w = counted("cross_entropy", y, valid, class_weights, z)
    eps = share(smoothing, z.shape[-1])
    items = functional.cross_entropy(z, y, weight=w, reduction="none", ignore_index=ignore_index, label_smoothing=eps)
    return with_accuracy(reduce(items, weights), z, y, valid)
