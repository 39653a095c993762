"""SMMF, arXiv:2412.08894, as the authors' code has it (the bias correction of neither moment)."""

import numpy as np

__all__ = ["smmf"]


def smmf(p0, grads, lrs, *, beta=0.9, eps=1e-8, weight_decay=0.0, decay_rate=-0.5, growth_rate=0.999, vector_reshape=True):
    """Moments of the squarest matrix, compressed after each step; the step uses them before compression."""
    p, path = np.asarray(p0), []
    dense = not vector_reshape and p.squeeze().ndim == 1
    n = min(n for n in range(1, p.size + 1) if p.size % n == 0 and n * n >= p.size)
    m = v = np.zeros((n, p.size // n))
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g.reshape(m.shape)
        b1 = 0.0 if beta is None else beta * growth_rate ** (t - 1)
        b2 = 1 - t**decay_rate
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        u = (m / (np.sqrt(v) + eps)).reshape(p.shape)
        p = (1 - lr * weight_decay) * p - lr * u
        if not dense:
            m, v = np.where(m > 0, 1, -1) * rank_one(abs(m)), rank_one(v)
        path.append(p)
    return path


def rank_one(x):
    """Row sums times column sums over the total."""
    return np.outer(x.sum(axis=1), x.sum(axis=0)) / (x.sum() or 1.0)
