"""Adamax: arXiv:1412.6980, section 7."""

import numpy as np

__all__ = ["adamax"]


def adamax(p0, grads, lrs, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, eps_outside=False):
    """u ← max(β₂·u, |g| + ε), p ← p − lr/(1 − β₁ᵗ)·m/u; `eps_outside`: u ← max(β₂·u, |g|) and m/(u + ε). L2 decay."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = u = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        inside, outside = (0.0, eps) if eps_outside else (eps, 0.0)
        u = np.maximum(b2 * u, np.abs(g) + inside)
        p = p - lr / (1 - b1**t) * m / (u + outside)
        path.append(p)
    return path
