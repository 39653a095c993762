"""The bi-tempered logistic loss: a bounded loss and a softmax with heavy tails, against wrong labels."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from danlu.loss.classes import flat, with_accuracy
from danlu.loss.loss_sum import LossSum
from danlu.loss.reduction import Reduction, total
from danlu.loss.registry import named
from danlu.loss.smoothing import Smoothing, share
from danlu.ranges import Fraction, Interval, check, hints

__all__ = ["bi_tempered"]

_ROUNDS = 20  # Newton's method converges from one side, in 5 rounds for most logits and in 12 for the worst tested


@named(source="Amid et al., 2019, arXiv:1906.03361; github.com/google/bi-tempered-loss", kind="classes")
def bi_tempered(
    logits: Tensor,
    target: Tensor,
    *,
    t1: Fraction = 0.8,
    t2: Annotated[float, Interval(1.0, 4.0)] = 1.2,
    ignore_index: int = -100,
    smoothing: Smoothing | None = None,
    reduce: Reduction = total,
) -> LossSum:
    """Σ Σₖ qₖ·(log_t1 qₖ − log_t1 pₖ) − (qₖ^(2−t1) − pₖ^(2−t1))/(2 − t1), pₖ = exp_t2(zₖ − λ(z)).

    log_t(u) = (u^(1−t) − 1)/(1 − t) and its inverse exp_t; λ makes the p sum to 1. t1 < 1 bounds what one item adds by
    1/(1 − t1), so a mislabelled item far out cannot dominate; t2 > 1 gives p heavy tails, so one near the boundary is
    given up. t1 = t2 = 1 is `cross_entropy` of the smoothed target, less the target's entropy.

    λ is found to rounding by Newton's method (the authors' code stops after 5 fixed-point rounds), and differentiated
    implicitly; gradients of gradients are not available. Memory is that of a few (n, K) tensors: not for vocabularies.

    Args:
        logits: z, shape (…, K).
        target: y, shape (…); q is its one-hot row, smoothed.
        t1: the temperature of the logarithm.
        t2: the temperature of the exponential; heavier tails above 1. (Below 1 p has zeros, which robustness needs not.)
        ignore_index: the target that marks an item as absent.
        smoothing: as in `cross_entropy`.
        reduce: as in `cross_entropy`.

    Returns:
        The sum, the count, and the measure "accuracy".

    Raises:
        ValueError: when the shapes do not fit, or a temperature is out of its range.
        TypeError: when the target is not a tensor of whole numbers.
    """
    check("bi_tempered", _RANGES, {"t1": t1, "t2": t2})
    z, y = flat("bi_tempered", logits, target)
    valid = y != ignore_index
    classes = z.shape[-1]
    eps = share(smoothing, classes)
    q = functional.one_hot(torch.where(valid, y, 0), classes).to(z.dtype) * (1 - eps) + eps / classes
    log_p = _log_probabilities(torch.where(valid[:, None], z, 0.0), t2)
    entropy = torch.where(q > 0, q * _log_t(q.clamp_min(torch.finfo(q.dtype).tiny).log(), t1), 0.0)
    mass = (q ** (2 - t1) - ((2 - t1) * log_p).exp()) / (2 - t1)
    items = (entropy - q * _log_t(log_p, t1) - mass).sum(-1)
    return with_accuracy(reduce(torch.where(valid, items, 0.0), valid), z, y, valid)


def _log_probabilities(z: Tensor, t: float) -> Tensor:
    """log exp_t(z − λ), with λ such that exp_t(z − λ) sums to 1."""
    z = z - z.detach().amax(-1, keepdim=True)  # λ moves with z, and beside large logits its digits would be lost
    with torch.no_grad():
        normaliser = torch.zeros_like(z[:, :1])  # at the largest logit the sum is at least 1, and λ lies above
        for _ in range(_ROUNDS):
            log_e = _log_exp_t(z - normaliser, t)
            log_sum = torch.logsumexp(log_e, -1, keepdim=True)
            # Newton's method on log_t Σ exp_t(z − λ) = 0, concave in λ, linear for equal logits, one round at t = 1
            slope = torch.logsumexp(t * log_e - t * log_sum, -1, keepdim=True).exp()
            normaliser = normaliser + _log_t(log_sum, t) / slope
        escort = torch.softmax(t * _log_exp_t(z - normaliser, t), -1)
    # dλ/dz is the escort distribution (differentiate the sum); the value added is 0
    normaliser = normaliser + (escort * (z - z.detach())).sum(-1, keepdim=True)
    return _log_exp_t(z - normaliser, t)


def _log_t(log_u: Tensor, t: float) -> Tensor:
    """(u^(1−t) − 1)/(1 − t) from log u; log u itself at t = 1."""
    return log_u if t == 1 else torch.expm1((1 - t) * log_u) / (1 - t)


def _log_exp_t(x: Tensor, t: float) -> Tensor:
    """Log exp_t(x) = log(1 + (1 − t)·x)/(1 − t) for t ≥ 1 and x ≤ 0; x itself at t = 1."""
    return x if t == 1 else torch.log1p((1 - t) * x) / (1 - t)


_RANGES = hints(bi_tempered)  # once, here: torch.compile cannot trace how they are found
