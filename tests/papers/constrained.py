"""Constrained parameter regularisation (arXiv:2311.09058, algorithm 1) and the spectral bound (arXiv:2505.21910)."""

import numpy as np

from tests.papers.variants import Moments

__all__ = ["adam_cpr", "spectral_adamw"]

SIZES = {
    "l2": lambda p: np.sum(p**2),
    "l1": lambda p: np.sum(np.abs(p)),
    "std": lambda p: np.std(p, ddof=1) if p.size > 1 else 0.0,
    "huber": lambda p: np.sum(np.where(np.abs(p) < 1, p**2 / 2, np.abs(p) - 1 / 2)),
}
SLOPES = {
    "l2": lambda p: 2 * p,
    "l1": np.sign,
    "std": lambda p: (p - p.mean()) / ((p.size - 1) * np.std(p, ddof=1)) if p.size > 1 else np.zeros_like(p),
    "huber": lambda p: np.where(np.abs(p) < 1, p, np.sign(p)),
}


def adam_cpr(
    p0,
    grads,
    lrs,
    betas=(0.9, 0.999),
    eps=1e-8,
    amsgrad=False,
    kappa=1.0,
    norm="l2",
    start="inflection",
    kappa_update=1.0,
    warmup=1000,
    every=200,
    overshoot=False,
):
    """Adam, then λ ← max(0, λ + μ(R − κ)) and θ ← θ − λ∇R; without `overshoot` no further than to R's least."""
    p, path, moments, size = np.asarray(p0), [], Moments(p0, betas, amsgrad), SIZES[norm]
    multiplier, bound, seen = 0.0, {"uniform": 1.0, "dependent": size(p)}.get(start), []
    mu = kappa_update if norm == "std" else kappa_update / p.size
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        p = p - lr * moments.direction(g, eps)
        r = size(p)
        if start == "warm_start" and t == warmup:
            bound = r
        if start == "inflection" and t % every == 0:
            seen.append(r)
            if bound is None and len(seen) >= 4 and seen[-2] - seen[-3] > seen[-1] - seen[-2]:
                bound = r
        if bound is not None:
            multiplier = max(0.0, multiplier + mu * (r - kappa * bound))
            least = p.mean() if norm == "std" else 0.0
            pulled = p - multiplier * SLOPES[norm](p)
            p = np.where(overshoot | ((pulled - least) * (p - least) > 0), pulled, least)
        path.append(p)
    return path


def spectral_adamw(p0, grads, lrs, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, tau=0.01):
    """AdamW whose lr is at most τσ₁(W)/σ₁(U), with exact singular values."""
    p, path, moments = np.asarray(p0), [], Moments(p0, betas)
    for g, lr in zip(grads, lrs, strict=True):
        u = moments.direction(g, eps)
        if np.squeeze(p).ndim > 1:
            own, step = (np.linalg.norm(x.reshape(len(x), -1), ord=2) for x in (p, u))
            lr = min(lr, tau * own / step) if own > 0 and step > 0 else lr
        p = (1 - lr * weight_decay) * p - lr * u
        path.append(p)
    return path
