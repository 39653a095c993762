"""CAME, arXiv:2307.02047, with the constants and the order of the authors' code."""

import numpy as np

from tests.papers.adafactor import clipped, factored

__all__ = ["came"]


def came(
    p0,
    grads,
    lrs,
    *,
    betas=(0.9, 0.999, 0.9999),
    eps=(1e-30, 1e-16),
    clip_threshold=1.0,
    weight_decay=0.0,
    dims="flatten",
):
    """Adafactor's u under a constant β₂; its average m over the root of the rank-1 average of (u − m)² + ε₂."""
    p, m, path = np.asarray(p0), np.zeros_like(p0), []
    state = scatter = 0.0
    for g, lr in zip(grads, lrs, strict=True):
        state, v = factored(state, g**2 + eps[0], betas[1], dims)
        u = clipped(g / np.sqrt(v), clip_threshold)
        m = betas[0] * m + (1 - betas[0]) * u
        scatter, s = factored(scatter, (u - m) ** 2 + eps[1], betas[2], dims)
        p = (1 - lr * weight_decay) * p - lr * (m / np.sqrt(s) if p.ndim > 1 else m)
        path.append(p)
    return path
