"""Gradient clipping: Pascanu et al., arXiv:1211.5063. These change gradients, so they have a signature of their own."""

import numpy as np

__all__ = ["by_global_norm", "by_value"]


def by_global_norm(grads, max_norm, *, order=2.0, eps=0.0):
    """g̃ = g·n/max(‖g‖, n) over all tensors together; with eps > 0, g·min(1, n/(‖g‖ + ε)). Returns (tensors, ‖g‖)."""
    norm = np.linalg.norm(np.concatenate([np.ravel(g) for g in grads]), ord=order)
    coefficient = min(1.0, max_norm / (norm + eps)) if eps else max_norm / max(norm, max_norm)
    return [coefficient * g for g in grads], norm


def by_value(grads, bound):
    """g̃ = min(max(g, −c), c), element by element."""
    return [np.clip(g, -bound, bound) for g in grads]
