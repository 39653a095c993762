"""NAdam: Dozat, ICLR 2016 workshop; v̂ without the extra β₂ of the paper's second algorithm, as everybody does."""

import numpy as np

__all__ = ["nadam", "nadam_simple"]


def nadam(
    p0,
    grads,
    lrs,
    *,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    momentum_decay=4e-3,
    decoupled_weight_decay=False,
):
    """m̄ = μₜ₊₁·m/(1 − Πᵗ⁺¹μ) + (1 − μₜ)·g/(1 − Πᵗμ) with μₜ = β₁·(1 − ½·0.96^(t·ψ)), p ← p − lr·m̄/(√v̂ + ε)."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = np.zeros_like(p)
    product = 1.0

    def mu(t):
        return b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        if not decoupled_weight_decay:
            g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        product = product * mu(t)
        m_bar = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        keep = 1 - lr * weight_decay if decoupled_weight_decay else 1.0
        p = keep * p - lr * m_bar / (np.sqrt(v / (1 - b2**t)) + eps)
        path.append(p)
    return path


def nadam_simple(p0, grads, lrs, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled_weight_decay=False):
    """m̄ = β₁·m̂ + (1 − β₁)/(1 − β₁ᵗ)·g, p ← p − lr·m̄/(√v̂ + ε)."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        if not decoupled_weight_decay:
            g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_bar = b1 * m / (1 - b1**t) + (1 - b1) / (1 - b1**t) * g
        keep = 1 - lr * weight_decay if decoupled_weight_decay else 1.0
        p = keep * p - lr * m_bar / (np.sqrt(v / (1 - b2**t)) + eps)
        path.append(p)
    return path
