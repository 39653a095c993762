"""Adam, Lion and SGD with one thing changed: the mask, the decay, the trust ratio, the length or the mean of the gradient."""

import numpy as np

from tests.papers.transforms import centralize, trust_ratio, units

__all__ = [
    "adamw_cwd",
    "adanorm",
    "cautious_adamw",
    "cautious_lion",
    "cautious_sgdw",
    "lamb",
    "lars",
    "norm_loss_sgd",
    "sgd_gc",
    "sgd_l1",
    "sgds",
]


class Moments:
    """m̂ and √v̂ of one tensor."""

    def __init__(self, p, betas, amsgrad=False, eps_hat=False, debias=True):
        self.betas, self.amsgrad, self.eps_hat, self.debias = betas, amsgrad, eps_hat, debias
        self.m = self.v = self.x = np.zeros_like(p)
        self.t = 0

    def direction(self, g, eps, raw=None, lift=0.0):
        """m̂/(√v̂ + ε); v of `raw` where it is not g; `lift` is added to the stored v."""
        (b1, b2), raw = self.betas, g if raw is None else raw
        self.t += 1
        self.m = b1 * self.m + (1 - b1) * g
        self.v = b2 * self.v + (1 - b2) * raw**2 + lift
        self.x = np.maximum(self.x, self.v) if self.amsgrad else self.v
        c1, c2 = (1 - b1**self.t, 1 - b2**self.t) if self.debias else (1.0, 1.0)
        if self.eps_hat:
            return np.sqrt(c2) / c1 * self.m / (np.sqrt(self.x) + eps)
        return (self.m / c1) / (np.sqrt(self.x / c2) + eps)


def masked(u, g, scale, floor=1e-3):
    """arXiv:2411.16085, algorithm 2: where u and g agree, scaled."""
    agree = (u * g > 0).astype(float)
    factor = {"paper": agree.size / (agree.sum() + 1), "clamped_mean": 1 / max(agree.mean(), floor), "none": 1.0}[scale]
    return u * agree * factor


def cautious_adamw(
    p0, grads, lrs, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, eps_hat=False, scale="clamped_mean"
):
    """AdamW with a masked direction."""
    p, path, moments = np.asarray(p0), [], Moments(p0, betas, amsgrad, eps_hat)
    for g, lr in zip(grads, lrs, strict=True):
        p = (1 - lr * weight_decay) * p - lr * masked(moments.direction(g, eps), g, scale)
        path.append(p)
    return path


def cautious_lion(p0, grads, lrs, betas=(0.9, 0.99), weight_decay=0.0, scale="clamped_mean"):
    """Lion with a masked direction."""
    p, path, m = np.asarray(p0), [], np.zeros_like(p0)
    for g, lr in zip(grads, lrs, strict=True):
        u = np.sign(betas[0] * m + (1 - betas[0]) * g)
        m = betas[1] * m + (1 - betas[1]) * g
        p = (1 - lr * weight_decay) * p - lr * masked(u, g, scale)
        path.append(p)
    return path


def cautious_sgdw(p0, grads, lrs, momentum=0.0, weight_decay=1e-2, scale="clamped_mean"):
    """Heavy ball with a masked buffer."""
    p, path, b = np.asarray(p0), [], np.zeros_like(p0)
    for g, lr in zip(grads, lrs, strict=True):
        b = momentum * b + g
        p = (1 - lr * weight_decay) * p - lr * masked(b, g, scale)
        path.append(p)
    return path


def adamw_cwd(p0, grads, lrs, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, eps_hat=False, zero="decay"):
    """arXiv:2510.12402, algorithm 1: p ← p − η(u + λ·1[u·p ≥ 0]·p)."""
    p, path, moments = np.asarray(p0), [], Moments(p0, betas, amsgrad, eps_hat)
    for g, lr in zip(grads, lrs, strict=True):
        u = moments.direction(g, eps)
        mask = u * p >= 0 if zero == "decay" else u * p > 0
        p = p - lr * (u + weight_decay * mask * p)
        path.append(p)
    return path


def adanorm(
    p0,
    grads,
    lrs,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    r=0.95,
    decoupled_weight_decay=False,
    eps_hat=False,
    eps_in_state=False,
):
    """arXiv:2210.06364, algorithm 2; `eps_in_state`: the authors' code."""
    p, path, moments, e = np.asarray(p0), [], Moments(p0, betas, eps_hat=eps_hat), 0.0
    for g, lr in zip(grads, lrs, strict=True):
        g = g if decoupled_weight_decay else g + weight_decay * p
        norm = np.linalg.norm(g)
        e = r * e + (1 - r) * norm
        longer = g * e / norm if e > norm > 0 else g
        keep = 1 - lr * weight_decay if decoupled_weight_decay else 1.0
        p = keep * p - lr * moments.direction(longer, eps, raw=g, lift=eps if eps_in_state else 0.0)
        path.append(p)
    return path


def lars(p0, grads, lrs, momentum=0.9, weight_decay=0.0, nesterov=False, trust_coefficient=1e-3, eps=1e-8, adapt_vectors=False):
    """arXiv:1708.03888, algorithm 1, with lr outside the buffer."""
    p, path, b = np.asarray(p0), [], np.zeros_like(p0)
    for g, lr in zip(grads, lrs, strict=True):
        d = trust_ratio(g, p, trust_coefficient, weight_decay, eps, adapt_vectors=adapt_vectors)
        b = momentum * b + d
        p = p - lr * (d + momentum * b if nesterov else b)
        path.append(p)
    return path


def lamb(
    p0,
    grads,
    lrs,
    betas=(0.9, 0.999),
    eps=1e-6,
    weight_decay=1e-2,
    debias=True,
    bounds=(0.0, np.inf),
    ceiling=np.inf,
    adapt_vectors=False,
):
    """arXiv:1904.00962, algorithm 2."""
    p, path, moments = np.asarray(p0), [], Moments(p0, betas, debias=debias)
    for g, lr in zip(grads, lrs, strict=True):
        u = moments.direction(g, eps) + weight_decay * p
        p = p - lr * trust_ratio(u, p, bounds=bounds, ceiling=ceiling, adapt_vectors=adapt_vectors)
        path.append(p)
    return path


def momentum_step(b, g, momentum, dampening, nesterov):
    """torch's buffer and what it is read as."""
    b = g if b is None else momentum * b + (1 - dampening) * g
    return b, g + momentum * b if nesterov else b


def norm_loss_sgd(p0, grads, lrs, momentum=0.9, dampening=0.0, weight_decay=1e-4, nesterov=False, vectors=False):
    """arXiv:2103.06583: p ← p − η∇(λ·Σ(1 − ‖pₒ‖)²), beside the step."""
    p, path, b = np.asarray(p0), [], None
    for g, lr in zip(grads, lrs, strict=True):
        b, u = momentum_step(b, g, momentum, dampening, nesterov)
        slope = np.zeros_like(p)
        if vectors or np.squeeze(p).ndim > 1:
            norms = np.linalg.norm(units(p), axis=1, keepdims=True)
            slope = (2 * weight_decay * (1 - 1 / norms) * units(p)).reshape(p.shape)
        p = p - lr * slope - lr * u
        path.append(p)
    return path


def sgd_gc(p0, grads, lrs, momentum=0.9, dampening=0.0, weight_decay=0.0, nesterov=False, conv_only=False):
    """The decay first, then the mean of every row away."""
    p, path, b = np.asarray(p0), [], None
    for g, lr in zip(grads, lrs, strict=True):
        b, u = momentum_step(b, centralize(g + weight_decay * p, p, conv_only), momentum, dampening, nesterov)
        p = p - lr * u
        path.append(p)
    return path


def sgd_l1(p0, grads, lrs, rate=0.0, proximal=False):
    """SGD with λ·sign(p) in the gradient, or with a soft threshold after the step."""
    p, path = np.asarray(p0), []
    for g, lr in zip(grads, lrs, strict=True):
        p = p - lr * g if proximal else p - lr * (g + rate * np.sign(p))
        p = np.sign(p) * np.maximum(np.abs(p) - lr * rate, 0.0) if proximal else p
        path.append(p)
    return path


def sgds(p0, grads, lrs, momentum=0.9, dampening=0.0, weight_decay=5e-4, nesterov=False):
    """arXiv:2011.11152: the decay is (1 − d)/(1 − μ) times as strong as SGDW's."""
    p, path, b = np.asarray(p0), [], None
    for g, lr in zip(grads, lrs, strict=True):
        b, u = momentum_step(b, g, momentum, dampening, nesterov)
        p = (1 - lr * weight_decay * (1 - dampening) / (1 - momentum)) * p - lr * u
        path.append(p)
    return path
