"""What happens to one gradient: clipping, normalising, centralising. Each returns the new gradient; p is the old parameter."""

import numpy as np

__all__ = ["agc", "block_rms", "centralize", "normalize", "soft_clip", "tensor_norm", "trust_ratio"]


def units(x):
    """Rows of a weight; one row for what has at most one side longer than 1."""
    return x.reshape(1, -1) if np.squeeze(x).ndim <= 1 else x.reshape(len(x), -1)


def agc(g, p, ratio=0.01, floor=1e-3):
    """arXiv:2102.06171, equation 3: the rows whose ‖g‖ exceeds λ·max(‖p‖, ε) are scaled to it."""
    rows = [
        gi * ratio * max(np.linalg.norm(pi), floor) / np.linalg.norm(gi)
        if np.linalg.norm(gi) > ratio * max(np.linalg.norm(pi), floor)
        else gi
        for gi, pi in zip(units(g), units(p), strict=True)
    ]
    return np.array(rows).reshape(g.shape)


def soft_clip(g, p, ratio=1.0, floor=1e-3, vectors=False):
    """Source 003: min(rms(g), rms(p))/rms(g), each with a floor under rms(p)."""
    if np.squeeze(g).ndim <= 1 and not vectors:
        return g
    rms_g, rms_p = (np.sqrt(np.mean(units(x) ** 2, axis=1, keepdims=True)) for x in (g, p))
    bound = ratio * np.maximum(rms_p, floor)
    scale = np.minimum(rms_g, bound) / np.where(rms_g > 0, rms_g, 1.0)
    return (units(g) * scale).reshape(g.shape)


def tensor_norm(g, p, bound, order=2.0, eps=0.0):
    """g·min(1, n/(‖g‖ + ε)) of one tensor."""
    norm = np.linalg.norm(np.ravel(g), ord=order) + eps
    return g * bound / norm if norm > bound else g


def block_rms(g, p, bound):
    """g/max(1, rms(g)/d)."""
    return g / max(1.0, np.sqrt(np.mean(g**2)) / bound)


def centralize(g, p, conv_only=False):
    """arXiv:2004.01461, equation 1: minus the mean over all sides but the first."""
    return g - g.mean(axis=tuple(range(1, g.ndim)), keepdims=True) if g.ndim > (3 if conv_only else 1) else g


def normalize(g, p, by="norm", per="tensor", eps=1e-8):
    """g/(‖g‖ + ε), or g/(std(g) + ε)."""
    rows = g.reshape(1, -1) if per == "tensor" else units(g)
    if by == "std" and rows.shape[1] == 1:
        return g
    size = np.linalg.norm(rows, axis=1, keepdims=True) if by == "norm" else rows.std(axis=1, ddof=1, keepdims=True)
    return (rows / (size + eps)).reshape(g.shape)


def trust_ratio(u, p, coefficient=1.0, weight_decay=0.0, eps=0.0, bounds=(0.0, np.inf), ceiling=np.inf, adapt_vectors=False):
    """u ← r·(u + λp): arXiv:1708.03888, equation 6, and arXiv:1904.00962, algorithm 2."""
    size, length = np.linalg.norm(p), np.linalg.norm(u)
    r = 1.0
    if size > 0 and length > 0 and (adapt_vectors or np.squeeze(u).ndim > 1):
        r = min(ceiling, coefficient * np.clip(size, *bounds) / (length + weight_decay * size + eps))
    return r * (u + weight_decay * p)
