"""RAdam: arXiv:1908.03265. The paper adapts where ρₜ > 4, its authors' code from 5 on and does nothing before."""

import numpy as np

__all__ = ["radam"]


def radam(
    p0,
    grads,
    lrs,
    *,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    decoupled_weight_decay=False,
    threshold=5.0,
    eps_hat=True,
    unadapted=True,
):
    """p ← p − lr·r·m̂/(√v̂ + ε) where ρₜ > threshold; before, p ← p − lr·m̂, or nothing, decay included.

    ρ∞ = 2/(1 − β₂) − 1, ρₜ = ρ∞ − 2·t·β₂ᵗ/(1 − β₂ᵗ), r² = (ρₜ − 4)(ρₜ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρₜ).
    """
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = np.zeros_like(p)
    rho_inf = 2 / (1 - b2) - 1
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        if not decoupled_weight_decay:
            g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        c1, c2 = 1 - b1**t, 1 - b2**t
        rho = rho_inf - 2 * t * b2**t / c2
        keep = 1 - lr * weight_decay if decoupled_weight_decay else 1.0
        if rho > threshold:
            r = np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            root = (np.sqrt(v) + eps) / np.sqrt(c2) if eps_hat else np.sqrt(v / c2) + eps
            p = keep * p - lr * r * (m / c1) / root
        elif unadapted:
            p = keep * p - lr * m / c1
        path.append(p)
    return path
