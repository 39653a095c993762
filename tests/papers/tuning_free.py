"""Prodigy, arXiv:2306.06101, D-Adaptation's Adam, arXiv:2301.07733, DoG and L-DoG, arXiv:2302.12022.

All tensors at once, for their sums are over all: p0 and grads are dictionaries, and so is the result, the paths by name.
"""

import math

import numpy as np

__all__ = ["dadapt_adam", "dog", "ldog", "prodigy"]


def prodigy(
    p0,
    grads,
    lrs,
    *,
    betas=(0.9, 0.999),
    beta3=None,
    eps=1e-8,
    weight_decay=0.0,
    decouple=True,
    use_bias_correction=False,
    safeguard_warmup=False,
    d0=1e-6,
    d_coef=1.0,
    growth_rate=math.inf,
    seen=None,
):
    """The authors' order: old d in the step, new d at ε. `seen` collects d after every update."""
    (b1, b2), b3 = betas, math.sqrt(betas[1]) if beta3 is None else beta3
    p = {n: np.asarray(x) for n, x in p0.items()}
    m, v, s = ({n: np.zeros_like(x) for n, x in p.items()} for _ in range(3))
    d = d_max = d0
    num = 0.0
    paths = {n: [] for n in p}
    for k, lr in enumerate(lrs):
        correction = math.sqrt(1 - b2 ** (k + 1)) / (1 - b1 ** (k + 1)) if use_bias_correction else 1.0
        dlr = d * lr * correction
        num *= b3
        for n in p:
            g = grads[n][k] + (0.0 if decouple else weight_decay) * p[n]
            num += d / d0 * dlr * np.sum(g * (p0[n] - p[n]))
            m[n] = b1 * m[n] + (1 - b1) * d * g
            v[n] = b2 * v[n] + (1 - b2) * d**2 * g**2
            s[n] = b3 * s[n] + d / d0 * (d if safeguard_warmup else dlr) * g
        estimate = d_coef * num / sum(np.sum(np.abs(x)) for x in s.values())
        if d == d0:
            d = max(d, estimate)
        d_max = max(d_max, estimate)
        d = min(d_max, d * growth_rate)
        for n in p:
            keep = 1 - weight_decay * dlr if decouple else 1.0
            p[n] = keep * p[n] - dlr * m[n] / (np.sqrt(v[n]) + d * eps)
            paths[n].append(p[n])
        if seen is not None:
            seen.append(d)
    return paths


def dadapt_adam(
    p0,
    grads,
    lrs,
    *,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    decouple=False,
    use_bias_correction=False,
    d0=1e-6,
    growth_rate=math.inf,
    seen=None,
):
    """Version 3 of the authors: the inner product takes the old s and v, the buffer m holds d·lr·g."""
    (b1, b2), b3 = betas, math.sqrt(betas[1])
    p = {n: np.asarray(x) for n, x in p0.items()}
    m, v, s = ({n: np.zeros_like(x) for n, x in p.items()} for _ in range(3))
    d, num = d0, 0.0
    paths = {n: [] for n in p}
    for k, lr in enumerate(lrs):
        correction = math.sqrt(1 - b2 ** (k + 1)) / (1 - b1 ** (k + 1)) if use_bias_correction else 1.0
        dlr = d * lr * correction
        inner = 0.0
        for n in p:
            g = grads[n][k] + (0.0 if decouple else weight_decay) * p[n]
            inner += dlr * np.sum(g * s[n] / (np.sqrt(v[n]) + eps))
            m[n] = b1 * m[n] + (1 - b1) * dlr * g
            v[n] = b2 * v[n] + (1 - b2) * g**2
            s[n] = b3 * s[n] + (1 - b3) * dlr * g
        num = b3 * num + (1 - b3) * inner
        estimate = num / ((1 - b3) * sum(np.sum(np.abs(x)) for x in s.values()))
        d = max(d, min(estimate, d * growth_rate))
        for n in p:
            keep = 1 - weight_decay * dlr if decouple else 1.0
            p[n] = keep * p[n] - m[n] / (np.sqrt(v[n]) + eps)
            paths[n].append(p[n])
        if seen is not None:
            seen.append(d)
    return paths


def dog(p0, grads, lrs, *, reps_rel=1e-6, weight_decay=0.0, eps=1e-8):
    """ηₜ = max‖x − x₀‖/√(Σ‖g‖² + ε), the first distance r_ε(1 + ‖x₀‖)."""
    p = {n: np.asarray(x) for n, x in p0.items()}
    r, total = reps_rel * (1 + norm(p0.values())), eps
    paths = {n: [] for n in p}
    for k, lr in enumerate(lrs):
        g = {n: grads[n][k] + weight_decay * p[n] for n in p}
        r = max(r, norm(p[n] - p0[n] for n in p))
        total += norm(g.values()) ** 2
        for n in p:
            p[n] = p[n] - lr * r / math.sqrt(total) * g[n]
            paths[n].append(p[n])
    return paths


def ldog(p0, grads, lrs, **options):
    """DoG for each tensor alone."""
    return {n: dog({n: p0[n]}, {n: grads[n]}, lrs, **options)[n] for n in p0}


def norm(arrays):
    return math.sqrt(sum(np.sum(x**2) for x in arrays))
