"""StableAdamW, arXiv:2304.13013, algorithm 2; `denominator_clip` as in timm."""

import numpy as np

from tests.papers.adafactor import rms

__all__ = ["stable_adamw"]


def stable_adamw(
    p0,
    grads,
    lrs,
    *,
    betas=(0.9, 0.99),
    eps=1e-6,
    weight_decay=1e-2,
    clip_threshold=1.0,
    denominator_clip=False,
):
    """AdamW whose lr is divided by max(1, RMS(g/√v̂)), tensor by tensor."""
    p, path = np.asarray(p0), []
    m = v = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat, root = m / (1 - betas[0] ** t), np.sqrt(v / (1 - betas[1] ** t))
        ratio = rms(g / (root + eps)) if denominator_clip else rms(g / np.maximum(root, eps))
        own = lr / max(1.0, ratio / clip_threshold)
        p = (1 - (lr if denominator_clip else own) * weight_decay) * p - own * m_hat / (root + eps)
        path.append(p)
    return path
