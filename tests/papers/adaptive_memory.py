"""Adaptive memory momentum, arXiv:2510.04988, from its proximal problem of two planes."""

import numpy as np

__all__ = ["am_adamw", "am_sgd"]


def am_sgd(p0, grads, lrs, *, beta_max=0.9, weight_decay=0.0, pull=0.1):
    """All tensors by name: the inner products run over all of them."""
    p, path = {n: np.asarray(x) for n, x in p0.items()}, {n: [] for n in p0}
    d = None
    before = 0.0
    for k, lr in enumerate(lrs):
        g = {n: grads[n][k] + weight_decay * p[n] for n in p}
        d = g if d is None else d
        apart = {n: d[n] - g[n] for n in p}
        pulled = {n: g[n] + pull * d[n] for n in p}
        gap = before / lr * dot(g, d)
        size = dot(apart, apart)
        beta = np.clip(((1 + pull) * gap - dot(apart, pulled)) / size, 0, beta_max) if size > 0 else 0.0
        d = {n: ((beta + pull) * d[n] + (1 - beta) * g[n]) / (1 + pull) for n in p}
        p = {n: p[n] - lr * d[n] for n in p}
        before = lr
        for n in p:
            path[n].append(p[n])
    return path


def dot(a, b):
    """The inner product over all tensors."""
    return sum(np.sum(a[n] * b[n]) for n in a)


def am_adamw(p0, grads, lrs, *, betas=(0.89, 0.999), eps=1e-8, weight_decay=1e-2, pull=0.1):
    """One tensor."""
    (bmax, b2), p, path = betas, np.asarray(p0), []
    d = v = np.zeros_like(p)
    product, before, w = 1.0, 0.0, weight_decay
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        v = b2 * v + (1 - b2) * g**2
        P = (1 - bmax * product) * (np.sqrt(v / (1 - b2**t)) + eps)
        W = 1 / (P * (1 + pull * P))
        gap = before * np.sum(g * (d / P + w * p))
        size = np.sum((d - g) ** 2 * W)
        top = (1 + w * lr) * gap / lr - np.sum((d - g) * W * (g + pull * P * d)) - w * np.sum(p * (d - g))
        beta = bmax if t == 1 else np.clip(top / size, 0, bmax) if size > 0 else 0.0
        d = ((1 - beta) * g + (pull * P + beta) * d) / (1 + pull * P)
        p = (1 - lr * w) * p - lr * d / P
        product, before = product * beta, lr
        path.append(p)
    return path
