"""RMSProp: Hinton's lecture 6e (2012); centred: Graves, arXiv:1308.0850; Nesterov momentum at the look-ahead point."""

import numpy as np

__all__ = ["look_ahead_rmsprop", "rmsprop"]


def rmsprop(
    p0,
    grads,
    lrs,
    *,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0.0,
    momentum=0.0,
    centered=False,
    nesterov=False,
    eps_inside=False,
    lr_inside=False,
    initial_square_avg=0.0,
):
    """v ← α·v + (1 − α)·g², u = g/(√v + ε) or g/√(v + ε); momentum gathers u, or lr·u with `lr_inside`. L2 decay."""
    p, path = np.asarray(p0), []
    v, a, b = initial_square_avg, 0.0, 0.0
    for g, lr in zip(grads, lrs, strict=True):
        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g
        r = np.maximum(v - a**2, 0.0) if centered else v  # rounding may leave v − a² below zero
        u = g / np.sqrt(r + eps) if eps_inside else g / (np.sqrt(r) + eps)
        now, later = (lr, 1.0) if lr_inside else (1.0, lr)
        b = momentum * b + now * u
        p = p - later * (now * u + momentum * b if nesterov else b)
        path.append(p)
    return path


def look_ahead_rmsprop(theta0, gradient, lrs, *, alpha, eps, momentum):
    """As printed: y = θ + α·v, g = ∇(y), r ← ρ·r + (1 − ρ)·g², v ← α·v − η·g/√(δ + r), θ ← θ + v.

    `alpha` is the printed ρ, `eps` δ and `momentum` α. Returns the look-ahead points y that follow each update.
    """
    theta, v, r, path = np.asarray(theta0), 0.0, 0.0, []
    for k, eta in enumerate(lrs):
        g = gradient(k, theta + momentum * v)
        r = alpha * r + (1 - alpha) * g**2
        v = momentum * v - eta / np.sqrt(eps + r) * g
        theta = theta + v
        path.append(theta + momentum * v)
    return path
