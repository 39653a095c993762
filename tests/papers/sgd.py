"""Gradient descent and its momenta.

Heavy ball: Polyak 1964. Nesterov 1983, in the look-ahead form of Sutskever et al. 2013. SGDW: arXiv:1711.05101.
"""

import numpy as np

__all__ = ["look_ahead_sgd", "sgd", "sgd_ema", "sgd_velocity", "sgdw"]


def sgd(p0, grads, lrs, *, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    """b ← μ·b + (1 − d)·g with b₁ = g₁ undamped, p ← p − lr·b; Nesterov: p ← p − lr·(g + μ·b). The decay is L2."""
    p, b, path = np.asarray(p0), None, []
    for g, lr in zip(grads, lrs, strict=True):
        g = g + weight_decay * p
        b = g if b is None else momentum * b + (1 - dampening) * g
        u = g + momentum * b if nesterov else b
        p = p - lr * (u if momentum else g)
        path.append(p)
    return path


def sgdw(p0, grads, lrs, *, momentum=0.0, dampening=0.0, weight_decay=1e-2, nesterov=False):
    """p ← (1 − lr·λ)·p, then heavy ball with gradients that never see the decay."""
    p, b, path = np.asarray(p0), None, []
    for g, lr in zip(grads, lrs, strict=True):
        b = g if b is None else momentum * b + (1 - dampening) * g
        u = g + momentum * b if nesterov else b
        p = (1 - lr * weight_decay) * p - lr * (u if momentum else g)
        path.append(p)
    return path


def sgd_ema(p0, grads, lrs, *, momentum=0.9, weight_decay=0.0):
    """m ← μ·m + (1 − μ)·g from m₀ = 0, p ← p − lr·m. The decay is L2."""
    p, m, path = np.asarray(p0), 0.0, []
    for g, lr in zip(grads, lrs, strict=True):
        m = momentum * m + (1 - momentum) * (g + weight_decay * p)
        p = p - lr * m
        path.append(p)
    return path


def sgd_velocity(p0, grads, lrs, *, momentum=0.9, weight_decay=0.0, nesterov=False):
    """v ← μ·v + lr·g from v₀ = 0, p ← p − v; Nesterov: p ← p − (lr·g + μ·v). The decay is L2."""
    p, v, path = np.asarray(p0), 0.0, []
    for g, lr in zip(grads, lrs, strict=True):
        g = g + weight_decay * p
        v = momentum * v + lr * g
        p = p - (lr * g + momentum * v if nesterov else v)
        path.append(p)
    return path


def look_ahead_sgd(theta0, gradient, lrs, *, momentum):
    """Nesterov as printed: y = θ + α·v, v ← α·v − η·∇(y), θ ← θ + v.

    `gradient(k, y)` is the gradient of update k at y. Returns the look-ahead points y that follow each update.
    """
    alpha, theta, v, path = momentum, np.asarray(theta0), 0.0, []
    for k, eta in enumerate(lrs):
        g = gradient(k, theta + alpha * v)
        v = alpha * v - eta * g
        theta = theta + v
        path.append(theta + alpha * v)
    return path
