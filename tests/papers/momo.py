"""MoMo and MoMo-Adam as the paper has them, sums over all tensors, without danlu's unbiased readings."""

import numpy as np

__all__ = ["momo", "momo_adam"]


def momo(p0, gradients, losses, lrs, *, beta=0.9, lb=0.0, weight_decay=0.0, bias_correction=False):
    """Algorithm 1. `gradients(k, p)` and `losses(k, p)` take all tensors by name; returns the path of each."""
    p = {n: np.array(x, dtype=float) for n, x in p0.items()}
    path, d, f, gamma = {n: [] for n in p}, None, None, None
    for k, lr in enumerate(lrs):
        g, loss = gradients(k, p), losses(k, p)
        inner = sum((g[n] * p[n]).sum() for n in p)
        if d is None:
            d, f, gamma = ({n: 0.0 * g[n] for n in p}, 0.0, 0.0) if bias_correction else (dict(g), loss, inner)
        d = {n: beta * d[n] + (1 - beta) * g[n] for n in p}
        f, gamma = beta * f + (1 - beta) * loss, beta * gamma + (1 - beta) * inner
        rho = 1 - beta ** (k + 1) if bias_correction else 1.0
        above = (1 + lr * weight_decay) * (f - rho * lb - gamma) + sum((d[n] * p[n]).sum() for n in p)
        tau = min(lr / rho, max(above, 0.0) / sum((d[n] ** 2).sum() for n in p))
        p = {n: (p[n] - tau * d[n]) / (1 + lr * weight_decay) for n in p}
        for n, x in p.items():
            path[n].append(x)
    return path


def momo_adam(p0, gradients, losses, lrs, *, betas=(0.9, 0.999), eps=1e-8, lb=0.0, weight_decay=0.0):
    """Algorithm 3, with the norm of D."""
    (b1, b2), p = betas, {n: np.array(x, dtype=float) for n, x in p0.items()}
    path, d, v, f, gamma = {n: [] for n in p}, dict.fromkeys(p, 0.0), dict.fromkeys(p, 0.0), 0.0, 0.0
    for k, lr in enumerate(lrs):
        g, loss = gradients(k, p), losses(k, p)
        inner = sum((g[n] * p[n]).sum() for n in p)
        d = {n: b1 * d[n] + (1 - b1) * g[n] for n in p}
        v = {n: b2 * v[n] + (1 - b2) * g[n] ** 2 for n in p}
        f, gamma = b1 * f + (1 - b1) * loss, b1 * gamma + (1 - b1) * inner
        rho, scale = 1 - b1 ** (k + 1), {n: np.sqrt(v[n] / (1 - b2 ** (k + 1))) + eps for n in p}
        above = (1 + lr * weight_decay) * (f - rho * lb - gamma) + sum((d[n] * p[n]).sum() for n in p)
        tau = min(lr / rho, max(above, 0.0) / sum((d[n] ** 2 / scale[n]).sum() for n in p))
        p = {n: (p[n] - tau * d[n] / scale[n]) / (1 + lr * weight_decay) for n in p}
        for n, x in p.items():
            path[n].append(x)
    return path
