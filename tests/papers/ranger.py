"""Ranger: RAdam, arXiv:1908.03265, on centralised gradients, arXiv:2004.01461, under Lookahead, arXiv:1907.08610."""

import numpy as np

from tests.papers.radam import radam

__all__ = ["ranger"]


def ranger(
    p0,
    grads,
    lrs,
    *,
    betas=(0.95, 0.999),
    eps=1e-5,
    weight_decay=0.0,
    k=6,
    alpha=0.5,
    threshold=5.0,
    conv_only=False,
):
    """RAdam's steps do not depend on p, so they are taken from a walk without decay; decay and Lookahead act on ours."""
    if np.ndim(p0) > (3 if conv_only else 1):
        grads = grads - grads.mean(axis=tuple(range(2, grads.ndim)), keepdims=True)
    free = radam(np.zeros_like(p0), grads, lrs, betas=betas, eps=eps, threshold=threshold)
    steps = np.diff(free, axis=0, prepend=np.zeros_like(free[:1]))
    p = slow = np.asarray(p0)
    path = []
    for t, (step, lr) in enumerate(zip(steps, lrs, strict=True), start=1):
        p = (1 - lr * weight_decay) * p + step
        if t % k == 0:
            p = slow = slow + alpha * (p - slow)
        path.append(p)
    return path
