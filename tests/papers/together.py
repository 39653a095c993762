"""Rules in which the tensors of an optimizer see each other: dicts of tensors by name in, dicts of paths out."""

import numpy as np

from tests.papers.variants import Moments

__all__ = ["adams", "auto_clip", "normalize_all", "z_clip"]


def adams(p0, grads, lrs, betas=(0.9, 0.999), eps=1e-8, weight_decay=5e-4, amsgrad=False, decay_eps=1e-8):
    """arXiv:2011.11152: p ← (1 − ηλ/(√v̄ + ε))p, v̄ the mean over all elements."""
    p, paths = {n: np.asarray(x) for n, x in p0.items()}, {n: [] for n in p0}
    moments = {n: Moments(x, betas, amsgrad) for n, x in p0.items()}
    count = sum(x.size for x in p.values())
    for k, lr in enumerate(lrs):
        u = {n: moments[n].direction(grads[n][k], eps) for n in p}
        mean = sum((moments[n].x / (1 - betas[1] ** (k + 1))).sum() for n in p) / count
        shrink = min(1.0, lr * weight_decay / (np.sqrt(mean) + decay_eps)) if mean > 0 else 0.0
        for n in p:
            p[n] = (1 - shrink) * p[n] - lr * u[n]
            paths[n].append(p[n])
    return paths


def norm(grads, k):
    """‖g‖ over all tensors at step k."""
    return np.linalg.norm(np.concatenate([np.ravel(g[k]) for g in grads.values()]))


def scaled(grads, factors):
    """The gradients times a factor per step."""
    return {n: [f * np.asarray(g) for f, g in zip(factors, grads[n], strict=True)] for n in grads}


def normalize_all(grads, eps=1e-8):
    """g/(‖g‖ + ε)."""
    steps = len(next(iter(grads.values())))
    return scaled(grads, [1 / (norm(grads, k) + eps) for k in range(steps)])


def auto_clip(grads, percentile=10.0, history=None, eps=1e-6):
    """arXiv:2007.14469: clipped to a percentile of the norms so far. Returns gradients and bounds."""
    norms = [norm(grads, k) for k in range(len(next(iter(grads.values()))))]
    bounds = [np.percentile(norms[max(0, k + 1 - (history or k + 1)) : k + 1], percentile) for k in range(len(norms))]
    return scaled(grads, [min(1.0, b / (n + eps)) for b, n in zip(bounds, norms, strict=True)]), bounds


def z_clip(grads, threshold=2.5, alpha=0.97, warmup=25, max_norm=None, to="adaptive", eps=1e-6):
    """arXiv:2504.02507, algorithm 1. Returns gradients, means and variances (after each step)."""
    norms = [norm(grads, k) for k in range(len(next(iter(grads.values()))))]
    factors, means, variances = [], [], []
    for k, x in enumerate(norms):
        let = x
        if k >= warmup:
            mu, sigma = means[-1], np.sqrt(variances[-1])
            z = (x - mu) / (sigma + eps)
            if z > threshold:
                let = {"adaptive": mu + threshold * sigma / (z / threshold), "mean": mu, "edge": mu + threshold * sigma}[to]
            means.append(alpha * mu + (1 - alpha) * let)
            variances.append(alpha * sigma**2 + (1 - alpha) * (let - means[-1]) ** 2)
        else:
            means.append(np.mean(norms[: k + 1]))
            variances.append(np.var(norms[: k + 1]))
        bound = let if max_norm is None else min(let, max_norm)
        factors.append(min(1.0, bound / (x + eps)) if bound < x else 1.0)
    return scaled(grads, factors), means, variances
