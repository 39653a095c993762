"""Rules with one second moment per block of a tensor. Adam-mini: arXiv:2406.16793. Amos: arXiv:2210.11693."""

import numpy as np

__all__ = ["adam_mini", "amos", "block_mean"]


def block_mean(x, blocks, rows=1):
    """The mean of its block at every element: all of x, or `rows` consecutive rows; vectors are one block."""
    if blocks == "element":
        return x
    if blocks == "tensor" or x.ndim < 2:
        return np.full_like(x, x.mean())
    cuts = range(rows, len(x), rows)
    return np.concatenate([np.full_like(part, part.mean()) for part in np.split(x, cuts)])


def adam_mini(p0, grads, lrs, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, blocks="row", rows=1):
    """v ← β₂v + (1 − β₂)·mean(g²), p ← (1 − lr·λ)·p − lr·m̂/(√v̂ + ε)."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m = v = np.zeros_like(p)
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * block_mean(np.asarray(g) ** 2, blocks, rows)
        p = (1 - lr * weight_decay) * p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        path.append(p)
    return path


def amos(p0, grads, lrs, *, beta=0.999, momentum=0.0, eta=None, extra_l2=0.0, blocks="tensor"):
    """δ = −d·(ξη·g/√v̂ + (γ/2 + l)·p), γ = c·ξ²·mean(g²)/v̂, b ← b + γ(1 + b); the momentum averages δ."""
    p, path = np.asarray(p0), []
    if eta is None:
        eta = 0.5 if p.ndim < 2 else np.sqrt(2 / np.prod(p.shape[1:]))
    v = b = moved = np.zeros_like(p)
    for t, (g, xi) in enumerate(zip(grads, lrs, strict=True), start=1):
        g2 = block_mean(np.asarray(g) ** 2, blocks)
        v = beta * v + (1 - beta) * g2
        w = (1 - beta**t) / np.maximum(v, 2.0**-125)
        c = (1 + np.sqrt(xi) * b / 4) ** -0.5
        d = 1 / (1 + np.sqrt(xi * eta) * b / 4)
        gamma = c * xi**2 * w * g2
        delta = d * (-xi * eta * np.sqrt(w) * g - (gamma / 2 + extra_l2) * p)
        b = b + gamma * (1 + b)
        moved = momentum * moved + (1 - momentum) * delta
        p = p + moved
        path.append(p)
    return path
