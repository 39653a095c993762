"""Furnace as docs/furnace.md prints it: Adam-atan2 in eigenbases, the share of signal, relative step and decay, the mean."""

import numpy as np

from tests.papers.matrix import newton_schulz

__all__ = ["atan2", "eigenbasis", "furnace", "furnace_lean", "noise_share", "tiles"]


def tiles(shape, side):
    """Rows and columns of a tile, or None where a side is not turned; the tensor as a matrix."""
    if sum(n != 1 for n in shape) <= 1:
        return None, (1, int(np.prod(shape))), (False, False)
    whole = shape[0], int(np.prod(shape[1:]))
    found, turned = [], []
    for n in whole:
        least = int(np.ceil(n / side))
        counts = [k for k in range(least, 2 * least + 1) if n % k == 0 and n > 1]
        found.append(n // counts[0] if counts else n)
        turned.append(bool(counts))
    return whole, tuple(found), tuple(turned)


def ahead(m, g, beta, nesterov):
    """Nesterov's reading of an average."""
    return beta * m + (1 - beta) * g if nesterov else m


def atan2(grads, betas, a=1.27, b=1.0, skip=0, nesterov=False):
    """The directions of Adam-atan2, where the first `skip` gradients are not seen."""
    m, v, found = 0.0, 0.0, []
    for t, g in enumerate(grads, start=1 - skip):
        if t > 0:
            m = betas[0] * m + (1 - betas[0]) * g
            v = betas[1] * v + (1 - betas[1]) * g**2
            seen = ahead(m, g, betas[0], nesterov) / (1 - betas[0] ** t)
            found.append(a * np.arctan2(seen, b * np.sqrt(v / (1 - betas[1] ** t))))
    return found


def one_tile(grads, betas, a, b, every, fresh, turned, nesterov):
    """The directions of one tile, with the covariances written out where the code has none: H = Q((1 − ρ)Λ + ρttᵀ)Qᵀ."""
    (b1, b2), first = betas, grads[0]
    q = np.linalg.eigh(first @ first.T)[1][:, ::-1] if turned[0] else np.eye(len(first))
    p = np.linalg.eigh(first.T @ first)[1][:, ::-1] if turned[1] else np.eye(first.shape[1])
    m = v = np.zeros_like(first)  # m is not turned, v is
    found = [None]
    for n, g in enumerate(grads[1:], start=1):
        t = q.T @ g @ p
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * t**2
        seen = ahead(m, g, b1, nesterov) / (1 - b1**n)
        angle = a * np.arctan2(q.T @ seen @ p, b * np.sqrt(v / (1 - b2**n)))
        found.append(q @ angle @ p.T)
        if n % every == 0:
            left, right = v.sum(1), v.sum(0)
            new_q, new_p = q, p
            if turned[0]:
                h = (1 - fresh) * (q * left) @ q.T + fresh * g @ p @ p.T @ g.T
                new_q = np.linalg.qr(h @ q[:, np.argsort(-left)])[0]
            if turned[1]:
                h = (1 - fresh) * (p * right) @ p.T + fresh * g.T @ q @ q.T @ g
                new_p = np.linalg.qr(h @ p[:, np.argsort(-right)])[0]
            v = ((q.T @ new_q) ** 2).T @ v @ (p.T @ new_p) ** 2
            q, p = new_q, new_p
    return found


def eigenbasis(
    shape,
    grads,
    *,
    betas=(0.95, 0.95),
    vector_betas=(0.9, 0.99),
    a=1.27,
    b=1.0,
    every=10,
    fresh=0.5,
    side=128,
    nesterov=False,
):
    """The directions of a tensor; None where it does not step."""
    whole, (height, width), turned = tiles(shape, side)
    if not any(turned):
        return atan2(grads, vector_betas, a, b, nesterov=nesterov)
    flat = grads.reshape(len(grads), *whole)
    found = np.zeros_like(flat)
    for i in range(0, whole[0], height):
        for j in range(0, whole[1], width):
            own = one_tile(flat[:, i : i + height, j : j + width], betas, a, b, every, fresh, turned, nesterov)
            found[1:, i : i + height, j : j + width] = own[1:]
    return [None, *found[1:].reshape(len(grads) - 1, *shape)]


def wide(x):
    """The sides of more than one element."""
    return [n for n in np.shape(x) if n != 1]


def noise_share(ms, grads, beta):
    """‖m̂‖/√ŷ for the readings of a momentum."""
    y, found = 0.0, []
    for t, (m, g) in enumerate(zip(ms, grads, strict=True), start=1):
        y = beta * y + (1 - beta) * np.sum(g**2)
        found.append(np.linalg.norm(m) / np.sqrt(y / (1 - beta**t)))
    return found


def anytime(p0, directions, lrs, step, weight_decay, floor, decay_to, *, fan=False, cautious=False):
    """p ← p − s·λ·p − s·size·u: the paths of p and of where it is evaluated. The size is that of p, or 1/√fan_in."""
    p = mean = np.asarray(p0)
    path, means = [], []
    for t, (u, lr) in enumerate(zip(directions, lrs, strict=True), start=1):
        s = lr * (1.4 * step * max(0, 1 - (t - 1) / decay_to) if decay_to else step)
        size = np.prod(p.shape[1:]) ** -0.5 if fan else max(np.sqrt(np.mean(p**2)), floor)
        if u is not None:
            decayed = p * (u * p >= 0) if cautious else p
            p = p - s * weight_decay * decayed - s * size * u
        share = 6 / (t + 5)
        mean = p if decay_to else (1 - share) * mean + share * p
        path.append(p)
        means.append(mean)
    return path, means


def furnace(
    p0,
    grads,
    lrs,
    *,
    weight_decay=0.05,
    betas=(0.9, 0.99),
    floor=0.01,
    decay_to=0,
    every=10,
    side=128,
    matrix=True,
):
    """The paths of p and of the mean."""
    if not matrix:
        return anytime(p0, atan2(grads, (0.9, 0.99)), lrs, 0.055, weight_decay, floor, decay_to)
    directions = eigenbasis(np.shape(p0), grads, betas=betas, every=every, side=side)
    return anytime(p0, directions, lrs, 0.055, 3 * weight_decay, floor, decay_to, fan=len(wide(p0)) > 1, cautious=True)


def furnace_lean(p0, grads, lrs, *, weight_decay=0.05, betas=(0.9, 0.99), floor=0.01, decay_to=0, matrix=True):
    """The paths of p and of the mean; the second moment of what is no matrix as the product of its means."""
    shape, ms, m = np.shape(p0), [], 0.0
    if not matrix:
        return anytime(p0, factored(grads), lrs, 0.055, weight_decay, floor, decay_to)
    for t, g in enumerate(grads, start=1):
        m = betas[0] * m + (1 - betas[0]) * g
        ms.append(m / (1 - betas[0] ** t))
    flat = [m.reshape(shape[0], -1) if shape else m.reshape(1, 1) for m in ms]
    unit = max(flat[0].shape) ** 0.5
    shares = noise_share(ms, grads, betas[1])
    # ε of 1e-7 stands beside ‖m‖ before its bias correction.
    raw = [x * (1 - betas[0] ** t) for t, x in enumerate(flat, start=1)]
    directions = [share * unit * newton_schulz(x).reshape(shape) for share, x in zip(shares, raw, strict=True)]
    return anytime(p0, directions, lrs, 0.11, weight_decay, floor, decay_to, fan=len(wide(p0)) > 1)


def factored(grads):
    """Adam-atan2 whose second moment is kept as row and column means."""
    m = v = 0.0
    found = []
    for t, g in enumerate(grads, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        seen = v
        if g.ndim > 1:
            whole = v.reshape(len(v), -1)
            rows, columns = whole.mean(1), whole.mean(0)
            seen = (np.outer(rows, columns) / rows.mean()).reshape(g.shape)
        found.append(1.27 * np.arctan2(m / (1 - 0.9**t), np.sqrt(seen / (1 - 0.99**t))))
    return found
