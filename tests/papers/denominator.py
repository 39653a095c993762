"""Rules that differ from Adam in what they divide by, or divide by a norm, or keep the sign only.

SAdam: arXiv:1908.00700. Adam-atan2: arXiv:2407.05872. AMSGrad: arXiv:1904.09237. AdaBelief: arXiv:2010.07468. EAdam:
arXiv:2011.02150. nSGDA: source 003 with its step counter repaired. SignSGD and Signum: arXiv:1802.04434. Yogi: NeurIPS 2018.
"""

import numpy as np

__all__ = ["adabelief", "adam_atan2", "amsgrad", "eadam", "nsgda", "nsgda_whole", "sadam", "sign_sgd", "signum", "yogi"]


def sadam(p0, grads, lrs, *, betas=(0.9, 0.999), smooth=50.0, weight_decay=0.0, amsgrad=True):
    """p ← p − lr·√c₂/c₁·m/log(1 + exp(k√v))·k, v or its running maximum."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = x = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        x = np.maximum(x, v) if amsgrad else v
        d = np.logaddexp(0.0, smooth * np.sqrt(x)) / smooth
        p = p - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / d
        path.append(p)
    return path


def adam_atan2(p0, grads, lrs, *, betas=(0.9, 0.99), weight_decay=0.0, a=1.27, b=1.0):
    """p ← (1 − lr·λ)·p − lr·a·atan2(m̂, b·√v̂)."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        u = a * np.arctan2(m / (1 - b1**t), b * np.sqrt(v / (1 - b2**t)))
        p = (1 - lr * weight_decay) * p - lr * u
        path.append(p)
    return path


def amsgrad(p0, grads, lrs, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, debias=False):
    """p ← p − lr·m/(√x + ε), x ← max(x, v); `debias`: m̂ over x ← max(x, v̂)."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = x = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        x = np.maximum(x, v / (1 - b2**t) if debias else v)
        p = p - lr * (m / (1 - b1**t) if debias else m) / (np.sqrt(x) + eps)
        path.append(p)
    return path


def adabelief(p0, grads, lrs, *, betas=(0.9, 0.999), eps=1e-16, weight_decay=0.0, decoupled_weight_decay=True, rectify=True):
    """s ← β₂s + (1 − β₂)(g − m)² + ε, p ← p − lr·m̂/(√ŝ + ε); `rectify`: times r once ρ > 5, p ← p − lr·m̂ before."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = s = np.zeros_like(p)
    last = 2 / (1 - b2) - 1
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        if not decoupled_weight_decay:
            g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        hat = m / (1 - b1**t)
        u = hat / (np.sqrt(s / (1 - b2**t)) + eps)
        rho = last - 2 * t * b2**t / (1 - b2**t)
        if rectify and rho > 5:
            u = u * np.sqrt((rho - 4) * (rho - 2) * last / ((last - 4) * (last - 2) * rho))
        elif rectify:
            u = hat
        p = (1 - lr * weight_decay * decoupled_weight_decay) * p - lr * u
        path.append(p)
    return path


def eadam(p0, grads, lrs, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """p ← p − lr·m̂/√v̂, v ← β₂v + (1 − β₂)g² + ε."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2 + eps
        p = p - lr * m / (1 - b1**t) / np.sqrt(v / (1 - b2**t))
        path.append(p)
    return path


def nsgda(p0, grads, lrs, **options):
    """One tensor: its own norm is the norm of all."""
    return nsgda_whole({"p": p0}, {"p": grads}, lrs, **options)["p"]


def nsgda_whole(p0, grads, lrs, *, momentum=0.9, eps=1e-8, weight_decay=1e-2):
    """p ← p − lr·m̂/(‖m̂‖ + ε) with one norm over all tensors."""
    p, path = {n: np.asarray(x) for n, x in p0.items()}, {n: [] for n in p0}
    m = {n: np.zeros_like(x) for n, x in p.items()}
    for t, lr in enumerate(lrs, start=1):
        m = {n: momentum * m[n] + (1 - momentum) * (grads[n][t - 1] + weight_decay * p[n]) for n in p}
        hat = {n: x / (1 - momentum**t) for n, x in m.items()}
        norm = np.sqrt(sum(np.sum(x**2) for x in hat.values()))
        p = {n: p[n] - lr * hat[n] / (norm + eps) for n in p}
        for n in p:
            path[n].append(p[n])
    return path


def sign_sgd(p0, grads, lrs, *, weight_decay=0.0):
    """p ← (1 − lr·λ)·p − lr·sign(g)."""
    return signum(p0, grads, lrs, momentum=0.0, weight_decay=weight_decay)


def signum(p0, grads, lrs, *, momentum=0.9, weight_decay=0.0):
    """p ← (1 − lr·λ)·p − lr·sign(m)."""
    p, m, path = np.asarray(p0), 0.0, []
    for g, lr in zip(grads, lrs, strict=True):
        m = momentum * m + (1 - momentum) * g
        p = (1 - lr * weight_decay) * p - lr * np.sign(m)
        path.append(p)
    return path


def yogi(p0, grads, lrs, *, betas=(0.9, 0.999), eps=1e-3, weight_decay=0.0, initial_accumulator_value=1e-6, debias=False):
    """v ← v − (1 − β₂)·sign(v − g²)·g², p ← p − lr·m/(√v + ε); `debias`: with m̂ and v̂."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m, v = np.zeros_like(p), np.full_like(p, initial_accumulator_value)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * np.sign(v - g**2) * g**2
        c1, c2 = (1 - b1**t, 1 - b2**t) if debias else (1.0, 1.0)
        p = p - lr * (m / c1) / (np.sqrt(v / c2) + eps)
        path.append(p)
    return path
