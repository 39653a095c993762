"""SAM, arXiv:2010.01412, and ASAM, arXiv:2102.11600, over SGD with momentum; all tensors at once, for the norm is over all."""

import numpy as np

__all__ = ["asam", "sam"]


def asam(p0, grad, lrs, *, rho=0.5, eta=0.01, vectors=True, momentum=0.9, weight_decay=0.0, nesterov=False):
    """e = ρ·T²g/‖T·g‖ with T = |w| + η, or 1 for vectors and scalars unless `vectors`; ``grad(k, p)``: update k's gradients."""

    def scale(w):
        return np.abs(w) + eta if vectors or w.ndim > 1 else np.ones_like(w)

    return descend(p0, grad, lrs, scale, rho, momentum, weight_decay, nesterov)


def sam(p0, grad, lrs, *, rho=0.05, momentum=0.9, weight_decay=0.0, nesterov=False):
    """e = ρ·g/‖g‖."""
    return descend(p0, grad, lrs, np.ones_like, rho, momentum, weight_decay, nesterov)


def descend(p0, grad, lrs, scale, rho, momentum, weight_decay, nesterov):
    """The paths by name."""
    p = {n: np.asarray(x) for n, x in p0.items()}
    b = {n: np.zeros_like(x) for n, x in p.items()}
    paths = {n: [] for n in p}
    for k, lr in enumerate(lrs):
        g = grad(k, p)
        norm = np.sqrt(sum(np.sum((scale(p[n]) * g[n]) ** 2) for n in p))
        g = grad(k, {n: p[n] + rho * scale(p[n]) ** 2 * g[n] / (norm + 1e-12) for n in p})
        for n in p:
            d = g[n] + weight_decay * p[n]
            b[n] = momentum * b[n] + d
            p[n] = p[n] - lr * (d + momentum * b[n] if nesterov else b[n])
            paths[n].append(p[n])
    return paths
