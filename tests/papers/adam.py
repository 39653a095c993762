"""Adam, arXiv:1412.6980; AdamW, arXiv:1711.05101; AMSGrad, ICLR 2018, with the maximum over the raw v."""

import numpy as np

from tests.papers.decay import decoupled

__all__ = ["adam", "adamw"]


def adam(
    p0,
    grads,
    lrs,
    *,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    amsgrad=False,
    decoupled_weight_decay=False,
    eps_hat=False,
    decay=decoupled,
    peak_lr=None,
):
    """p ← p − lr·m̂/(√v̂ + ε); `eps_hat`: p ← p − lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + ε̂), the paper's efficient order."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = x = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        if not decoupled_weight_decay:
            g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        x = np.maximum(x, v) if amsgrad else v
        c1, c2 = 1 - b1**t, 1 - b2**t
        u = np.sqrt(c2) / c1 * m / (np.sqrt(x) + eps) if eps_hat else (m / c1) / (np.sqrt(x / c2) + eps)
        keep = decay(lr, peak_lr, weight_decay) if decoupled_weight_decay else 1.0
        p = keep * p - lr * u
        path.append(p)
    return path


def adamw(p0, grads, lrs, *, weight_decay=1e-2, **options):
    """Adam whose decay multiplies p and stays out of the moments."""
    return adam(p0, grads, lrs, weight_decay=weight_decay, decoupled_weight_decay=True, **options)
