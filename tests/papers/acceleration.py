"""Momenta that look back, ahead or further back.

diffGrad arXiv:1909.11015, AdaMomentum arXiv:2106.11514, PNM arXiv:2103.17182, Adan arXiv:2208.06677, AdEMAMix arXiv:2409.03137,
AdaGL doi:10.1007/s11063-024-11571-7 (a catalogue's equations).
"""

import numpy as np

__all__ = ["adagl", "adamomentum", "adan", "adapnm", "ademamix", "diffgrad", "pnm"]


def diffgrad(
    p0, grads, lrs, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled_weight_decay=False, eps_hat=True, fixed=0.0
):
    """ξ = 1/(1 + exp(−|gₜ₋₁ − gₜ|)), p ← p − lr·ξ·m̂/(√v̂ + ε); `eps_hat`: √(1 − β₂ᵗ)/(√v + ε). `fixed`: p ← (1 − λ)·p first."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = before = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g if decoupled_weight_decay else g + weight_decay * p
        xi = 1 / (1 + np.exp(-np.abs(before - g)))
        m, v, before = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2, g
        c1, c2 = 1 - b1**t, 1 - b2**t
        u = xi * m / c1 * np.sqrt(c2) / (np.sqrt(v) + eps) if eps_hat else xi * (m / c1) / (np.sqrt(v / c2) + eps)
        keep = 1 - lr * weight_decay if decoupled_weight_decay else 1 - fixed
        p = keep * p - lr * u
        path.append(p)
    return path


def adamomentum(p0, grads, lrs, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled_weight_decay=False):
    """v ← β₂·v + (1 − β₂)·m² + ε, p ← p − lr·m̂/√v̂."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g if decoupled_weight_decay else g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * m**2 + eps
        keep = 1 - lr * weight_decay if decoupled_weight_decay else 1.0
        p = keep * p - lr * (m / (1 - b1**t)) / np.sqrt(v / (1 - b2**t))
        path.append(p)
    return path


def pnm(p0, grads, lrs, *, betas=(0.9, 1.0), weight_decay=0.0, decoupled_weight_decay=True):
    """m[t mod 2] ← β²·m[t mod 2] + (1 − β²)·g, p ← p − lr·((1 + β₀)·m[t mod 2] − β₀·m[other])/√((1 + β₀)² + β₀²)."""
    (beta, noise), p, path = betas, np.asarray(p0), []
    m = [np.zeros_like(p), np.zeros_like(p)]
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g if decoupled_weight_decay else g + weight_decay * p
        m[t % 2] = beta**2 * m[t % 2] + (1 - beta**2) * g
        u = ((1 + noise) * m[t % 2] - noise * m[1 - t % 2]) / np.hypot(1 + noise, noise)
        p = (1 - lr * weight_decay if decoupled_weight_decay else 1.0) * p - lr * u
        path.append(p)
    return path


def adapnm(p0, grads, lrs, *, betas=(0.9, 0.999, 1.0), eps=1e-8, weight_decay=0.0, amsgrad=True, decoupled_weight_decay=True):
    """PNM's difference over 1 − β₁ᵗ and over √v̂ + ε; `amsgrad`: the maximum of the raw v."""
    (b1, b2, noise), p, path = betas, np.asarray(p0), []
    m, v, top = [np.zeros_like(p), np.zeros_like(p)], np.zeros_like(p), np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g if decoupled_weight_decay else g + weight_decay * p
        m[t % 2] = b1**2 * m[t % 2] + (1 - b1**2) * g
        v = b2 * v + (1 - b2) * g**2
        top = np.maximum(top, v)
        u = ((1 + noise) * m[t % 2] - noise * m[1 - t % 2]) / np.hypot(1 + noise, noise) / (1 - b1**t)
        u = u / (np.sqrt((top if amsgrad else v) / (1 - b2**t)) + eps)
        p = (1 - lr * weight_decay if decoupled_weight_decay else 1.0) * p - lr * u
        path.append(p)
    return path


def adan(p0, grads, lrs, *, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.02, no_prox=False):
    """u = (m̂ + β₂·d̄̂)/(√n̂ + ε), p ← (p − lr·u)/(1 + lr·λ), or (1 − lr·λ)·p − lr·u without the proximal form."""
    (b1, b2, b3), p, path = betas, np.asarray(p0), []
    m = drift = n = np.zeros_like(p)
    before = grads[0]
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        d, before = g - before, g
        m = b1 * m + (1 - b1) * g
        drift = b2 * drift + (1 - b2) * d
        n = b3 * n + (1 - b3) * (g + b2 * d) ** 2
        u = (m / (1 - b1**t) + b2 * drift / (1 - b2**t)) / (np.sqrt(n / (1 - b3**t)) + eps)
        p = (1 - lr * weight_decay) * p - lr * u if no_prox else (p - lr * u) / (1 + lr * weight_decay)
        path.append(p)
    return path


def ademamix(
    p0,
    grads,
    lrs,
    *,
    betas=(0.9, 0.999, 0.9999),
    alpha=2.0,
    beta3_warmup=0.0,
    alpha_warmup=0.0,
    eps=1e-8,
    weight_decay=0.0,
):
    """p ← p − lr·((m̂ + αₜ·s)/(√v̂ + ε) + λ·p); 1/ln βₜ goes linearly from 1/ln β₁ to 1/ln β₃, αₜ from 0 to α."""
    (b1, b2, b3), p, path = betas, np.asarray(p0), []
    m = s = v = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        a = alpha * t / alpha_warmup if t < alpha_warmup else alpha
        b = b3
        if t < beta3_warmup:
            x = t / beta3_warmup
            b = np.exp(np.log(b1) * np.log(b3) / ((1 - x) * np.log(b3) + x * np.log(b1)))
        m, s, v = b1 * m + (1 - b1) * g, b * s + (1 - b) * g, b2 * v + (1 - b2) * g**2
        u = (m / (1 - b1**t) + a * s) / (np.sqrt(v / (1 - b2**t)) + eps)
        p = p - lr * (u + weight_decay * p)
        path.append(p)
    return path


def adagl(
    p0,
    grads,
    lrs,
    *,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    alpha=0.5,
    length=10,
    decoupled_weight_decay=False,
):
    """G = Σⱼ (−1)ʲ·binom(α, j)·gₜ₋ⱼ, j ≤ length; Adam on G, times 1.1 − 1/(2(1 + |gₜ₋₁ − gₜ|)), g₀ = 0. L2 is added to G."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    binomial = np.cumprod([1.0, *((j - 1 - alpha) / j for j in range(1, length + 1))])
    m = v = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        before = grads[t - 2] if t > 1 else np.zeros_like(p)
        total = sum(binomial[j] * grads[t - 1 - j] for j in range(min(length, t - 1) + 1))
        total = total if decoupled_weight_decay else total + weight_decay * p
        m, v = b1 * m + (1 - b1) * total, b2 * v + (1 - b2) * total**2
        u = (1.1 - 1 / (2 * (1 + np.abs(before - g)))) * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        p = (1 - lr * weight_decay if decoupled_weight_decay else 1.0) * p - lr * u
        path.append(p)
    return path
