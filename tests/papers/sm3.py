"""SM3-II and SM3-I, arXiv:1901.11150, with momentum after the division as in the authors' code."""

import numpy as np

__all__ = ["sm3"]


def sm3(p0, grads, lrs, *, momentum=0.9, eps=1e-30, weight_decay=0.0, cover_sums=False):
    """p ← p − lr·m, m an average of g/√(ν + ε); ν = min μ + g², μ = max ν, or with sums μ = Σ max g², ν = min μ.

    The covers are the slices along each axis; a vector's are its elements.
    """
    p, m, path = np.asarray(p0), np.zeros_like(p0), []
    slices = [tuple(b for b in range(p.ndim) if b != a) for a in range(p.ndim)] if p.ndim > 1 else [()]
    mu = [0.0] * len(slices)
    for g, lr in zip(grads, lrs, strict=True):
        if cover_sums:
            mu = [x + (g**2).max(axis=s, keepdims=True) for x, s in zip(mu, slices, strict=True)]
            nu = np.min(np.broadcast_arrays(*mu), axis=0)
        else:
            nu = np.min(np.broadcast_arrays(*mu), axis=0) + g**2
            mu = [nu.max(axis=s, keepdims=True) for s in slices]
        m = momentum * m + (1 - momentum) * g / np.sqrt(nu + eps)
        p = (1 - lr * weight_decay) * p - lr * m
        path.append(p)
    return path
