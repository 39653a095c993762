"""Lion: arXiv:2302.06675."""

import numpy as np

__all__ = ["lion"]


def lion(p0, grads, lrs, *, betas=(0.9, 0.99), weight_decay=0.0):
    """u = sign(β₁·m + (1 − β₁)·g), p ← p − lr·(u + λ·p), then m ← β₂·m + (1 − β₂)·g."""
    (b1, b2), p, m, path = betas, np.asarray(p0), 0.0, []
    for g, lr in zip(grads, lrs, strict=True):
        u = np.sign(b1 * m + (1 - b1) * g)
        p = p - lr * (u + weight_decay * p)
        m = b2 * m + (1 - b2) * g
        path.append(p)
    return path
