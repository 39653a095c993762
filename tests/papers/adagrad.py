"""Adagrad: Duchi, Hazan & Singer, JMLR 12 (2011)."""

import numpy as np

__all__ = ["adagrad"]


def adagrad(p0, grads, lrs, *, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, eps_inside=False):
    """G ← G + g², p ← p − lr/(1 + (t − 1)·d)·g/(√G + ε), or g/√(G + ε). The decay is L2."""
    p, G, path = np.asarray(p0), initial_accumulator_value, []
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g + weight_decay * p
        G = G + g**2
        u = g / np.sqrt(G + eps) if eps_inside else g / (np.sqrt(G) + eps)
        p = p - lr / (1 + (t - 1) * lr_decay) * u
        path.append(p)
    return path
