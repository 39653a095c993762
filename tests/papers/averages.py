"""Averages of weights: EMA and its warm-ups, SWA, arXiv:1803.05407, LAWA, arXiv:2209.14981, polynomial decay, arXiv:1212.1824.

Lookahead, arXiv:1907.08610, and Schedule-Free, arXiv:2405.15682, with all their points written out. A path is p before the
first and after each update.
"""

import numpy as np

__all__ = [
    "debiased",
    "ema",
    "lawa",
    "lookahead",
    "polynomial",
    "power_decay",
    "ratio_decay",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "swa",
]


def ema(path, decays):
    """E ← ρ·E + (1 − ρ)·p with a decay for every update, from E = p₀."""
    e, found = path[0], []
    for p, rho in zip(path[1:], decays, strict=True):
        e = rho * e + (1 - rho) * p
        found.append(e)
    return found


def debiased(path, rho):
    """The average that starts at 0, divided by 1 − ρᵗ."""
    e, found = np.zeros_like(path[0]), []
    for t, p in enumerate(path[1:], start=1):
        e = rho * e + (1 - rho) * p
        found.append(e / (1 - rho**t))
    return found


def ratio_decay(rho, steps):
    """TensorFlow's: min(ρ, (1 + k)/(10 + k)) with k updates before this one."""
    return [min(rho, (1 + k) / (10 + k)) for k in range(steps)]


def power_decay(rho, steps, gamma=1.0, power=2 / 3):
    """timm's: 1 − (1 + s/γ)^(−power) with s = step − 1, at most ρ."""
    return [min(rho, 1 - (1 + s / gamma) ** -power) for s in range(steps)]


def swa(path):
    """The mean of all weights after an update."""
    return [np.mean(path[1 : t + 1], axis=0) for t in range(1, len(path))]


def lawa(path, window):
    """The mean of the last `window` of them."""
    return [np.mean(path[max(1, t - window + 1) : t + 1], axis=0) for t in range(1, len(path))]


def polynomial(path, gamma):
    """x̄ₜ = (1 − (1 + γ)/(t + γ))·x̄ₜ₋₁ + (1 + γ)/(t + γ)·xₜ."""
    e, found = path[0], []
    for t, p in enumerate(path[1:], start=1):
        share = (1 + gamma) / (t + gamma)
        e = (1 - share) * e + share * p
        found.append(e)
    return found


def lookahead(p0, grads, lrs, *, k=5, alpha=0.5, momentum=0.9, weight_decay=0.0, nesterov=False, at_sync="keep", aliased=False):
    """k steps of SGD with momentum, then φ ← φ + α(θ − φ), θ ← φ; `at_sync` says what becomes of the momentum b.

    "pullback" interpolates b like the weights. The authors' code keeps a reference to b instead of a copy (`aliased`), so that
    from the second sync on b·α + (1 − α)·(b·α) comes out.
    """
    p = slow = np.asarray(p0)
    b = slow_b = np.zeros_like(p)
    path = []
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = g + weight_decay * p
        b = momentum * b + g
        p = p - lr * (g + momentum * b if nesterov else b)
        if t % k == 0:
            slow = slow + alpha * (p - slow)
            p = slow
            if at_sync == "reset":
                b = np.zeros_like(b)
            if at_sync == "pullback":
                other = alpha * b if aliased and t > k else slow_b
                b = slow_b = alpha * b + (1 - alpha) * other
        path.append(p)
    return path


def schedule_free(p0, grads, lrs, direction, *, beta, warmup_steps=0, r=0.0, weight_lr_power=2.0):
    """The three points x, y, z as the paper has them; the paths of y and of x."""
    x = y = z = np.asarray(p0)
    highest = total = 0.0
    ys, xs = [], []
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        lr = lr * min(1.0, t / warmup_steps) if warmup_steps else lr
        highest = max(highest, lr)
        weight = t**r * highest**weight_lr_power
        total += weight
        c = weight / total if total else 0.0
        z = z - lr * direction(t, g, y)
        x = (1 - c) * x + c * z
        y = (1 - beta) * z + beta * x
        ys.append(y)
        xs.append(x)
    return ys, xs


def schedule_free_sgd(p0, grads, lrs, *, momentum=0.9, weight_decay=0.0, **options):
    """The direction is g + λy."""
    return schedule_free(p0, grads, lrs, lambda t, g, y: g + weight_decay * y, beta=momentum, **options)


def schedule_free_adamw(p0, grads, lrs, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, **options):
    """The direction is g/(√v̂ + ε) + λy."""
    v = np.zeros_like(np.asarray(p0))

    def direction(t, g, y):
        nonlocal v
        v = betas[1] * v + (1 - betas[1]) * g**2
        return g / (np.sqrt(v / (1 - betas[1] ** t)) + eps) + weight_decay * y

    return schedule_free(p0, grads, lrs, direction, beta=betas[0], **options)


def schedule_free_radam(p0, grads, lrs, *, betas=(0.9, 0.999), **options):
    """Schedule-free AdamW with lr times RAdam's r where ρₜ > 4, and times 0 before."""
    factors, last = [], 2 / (1 - betas[1]) - 1
    for t in range(1, len(lrs) + 1):
        rho = last - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
        square = (rho - 4) * (rho - 2) * last / ((last - 4) * (last - 2) * rho)
        factors.append(np.sqrt(square) if rho > 4 else 0.0)
    return schedule_free_adamw(p0, grads, np.multiply(lrs, factors), betas=betas, **options)
