"""Adafactor, arXiv:1804.04235, algorithm 4 with the options of torch, transformers and timm."""

import numpy as np

__all__ = ["adafactor", "clipped", "factored", "rms"]


def adafactor(
    p0,
    grads,
    lrs,
    *,
    beta2_decay=-0.8,
    eps=(None, 1e-3),
    d=1.0,
    weight_decay=0.0,
    dims="flatten",
    eps_added=False,
    relative_step=True,
    warmup_init=False,
    scale_parameter=True,
    scale_decay=False,
    momentum=0.0,
    lr_inside=True,
    beta2_cap=1.0,
):
    """Rows R and columns C of the average of g² (+ ε₁); u = g/√(R·C/mean R), clipped; a·u or its average is subtracted."""
    p, m, path = np.asarray(p0), np.zeros_like(p0), []
    added = (1e-30 if eps[0] is None else eps[0]) if eps_added else 0.0
    floor = 0.0 if eps_added else np.finfo(p.dtype).eps if eps[0] is None else eps[0]
    state = 0.0
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        beta = min(1 - t**beta2_decay, beta2_cap)
        state, v = factored(state, g**2 + added, beta, dims)
        u = clipped(divided(g, np.maximum(np.sqrt(v), floor)), d)
        rate = min(lr, 1 / np.sqrt(t), 1e-6 * t if warmup_init else np.inf) if relative_step else lr
        size = max(eps[1], rms(p)) if scale_parameter else 1.0
        keep = 1 - rate * (size if scale_decay else 1.0) * weight_decay
        if lr_inside:
            m = momentum * m + (1 - momentum) * rate * size * u
            step = m
        else:
            m = momentum * m + (1 - momentum) * size * u
            step = rate * m
        p = keep * p - step
        path.append(p)
    return path


def factored(state, x, beta, dims):
    """Average the row and column means of x; return them (their full x below two dimensions) and what they say of x."""
    if x.ndim < 2:
        state = beta * state + (1 - beta) * x
        return state, state
    a, b = {
        "flatten": (0, None),
        "last2": (x.ndim - 2, x.ndim - 1),
        "first2": (0, 1),
        "largest": tuple(np.argsort(x.shape, kind="stable")[-2:]),
    }[dims]
    y = x.reshape(x.shape[0], -1) if b is None else np.moveaxis(x, (a, b), (-2, -1))
    rows, cols = state if isinstance(state, tuple) else (0.0, 0.0)
    rows = beta * rows + (1 - beta) * y.mean(axis=-1)
    cols = beta * cols + (1 - beta) * y.mean(axis=-2)
    mean = rows.mean(axis=-1)[..., None, None]
    v = divided(rows[..., :, None] * cols[..., None, :], mean)
    return (rows, cols), v.reshape(x.shape) if b is None else np.moveaxis(v, (-2, -1), (a, b))


def divided(x, y):
    """x/y, and 0/0 = 0."""
    return np.where(x == 0, 0.0, x / np.where(x == 0, 1.0, y))


def clipped(u, threshold):
    """u with a root mean square of at most the threshold."""
    return u / max(1.0, rms(u) / threshold)


def rms(x):
    """The root of the mean square."""
    return np.sqrt(np.mean(x**2))
