"""Muon (Jordan 2024, Moonlight arXiv:2502.16982), Shampoo arXiv:1802.09568 and SOAP arXiv:2409.11321."""

import numpy as np

__all__ = ["muon", "newton_schulz", "shampoo", "soap"]

QUINTIC = (3.4445, -4.7750, 2.0315)


def newton_schulz(x, steps=5, coefficients=QUINTIC, eps=1e-7):
    """X/(‖X‖ + ε), then `steps` times X ← a·X + b·(X·Xᵀ)·X + c·(X·Xᵀ)²·X, written with singular values: σ ← aσ + bσ³ + cσ⁵."""
    a, b, c = coefficients
    u, sigma, vt = np.linalg.svd(x / (np.linalg.norm(x) + eps), full_matrices=False)
    for _ in range(steps):
        sigma = a * sigma + b * sigma**3 + c * sigma**5
    return (u * sigma) @ vt


def muon(
    p0,
    grads,
    lrs,
    *,
    weight_decay=0.1,
    momentum=0.95,
    nesterov=True,
    ns_coefficients=QUINTIC,
    eps=1e-7,
    ns_steps=5,
    adjust_lr_fn=None,
    sums=False,
):
    """m ← μm + (1 − μ)g, u = s·NS(m or μm + (1 − μ)g), p ← (1 − lr·λ)·p − lr·u; `sums`: m ← μm + g and NS(g + μm)."""
    p, m, path = np.asarray(p0), 0.0, []
    new = 1.0 if sums else 1 - momentum
    for g, lr in zip(grads, lrs, strict=True):
        m = momentum * m + new * g
        read = momentum * m + new * g if nesterov else m
        x = read.reshape(len(read), -1) if read.ndim else read.reshape(1, 1)
        rows, columns = x.shape
        scale = {"original": max(1, rows / columns) ** 0.5, "match_rms_adamw": 0.2 * max(rows, columns) ** 0.5, "none": 1}
        u = scale[adjust_lr_fn or "original"] * newton_schulz(x, ns_steps, ns_coefficients, eps).reshape(p.shape)
        p = (1 - lr * weight_decay) * p - lr * u
        path.append(p)
    return path


def turned(x, matrices, back=False):
    """The tensor with Qᵀ (or Q) applied along every axis that has one."""
    for axis, q in enumerate(matrices):
        if q is not None:
            x = np.moveaxis(np.tensordot(x, q.T if back else q, axes=(axis, 0)), -1, axis)
    return x


def gram(x, axis):
    """The matrix of inner products along an axis."""
    flat = np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    return flat @ flat.T


def shampoo(p0, grads, lrs, *, eps=1e-6, every=1, max_size=10_000, weight_decay=0.0, momentum=0.0, root=2):
    """Hᵢ ← Hᵢ + Gram of g along axis i from ε·I, u = g times Hᵢ^(−1/(root·k)) along each of the k axes; p ← p − lr·u; L2."""
    p, path = np.asarray(p0), []
    shape = p.shape or (1,)
    factors = [eps * np.eye(n) if n <= max_size else None for n in shape]
    roots = [None] * len(shape)
    buffer = 0.0
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g = (g + weight_decay * p).reshape(shape)
        for i in range(len(shape)):
            if factors[i] is not None:
                factors[i] = factors[i] + gram(g, i)
                if (t - 1) % every == 0:
                    values, vectors = np.linalg.eigh(factors[i])
                    roots[i] = (vectors * values ** (-1 / (root * len(shape)))) @ vectors.T
        buffer = momentum * buffer + turned(g, roots)
        p = p - lr * buffer.reshape(p.shape)
        path.append(p)
    return path


def soap(
    p0,
    grads,
    lrs,
    *,
    betas=(0.95, 0.95),
    shampoo_beta=None,
    eps=1e-8,
    weight_decay=1e-2,
    every=10,
    max_size=10_000,
    precondition_1d=False,
    decay_after=False,
):
    """Adam in the eigenbasis of the averaged Gram matrices; the first gradient only makes the basis.

    u = Q·(m̂/(√v̂ + ε'))·Qᵀ with ε' = ε/√(1 − β₂ᵗ), m averaged as it is and turned when read, v averaged turned. After the
    step the Gram matrices take g in, and every so often Q ← qr(H·Q), columns by falling qᵀHq. p ← (1 − lr·λ)·p − lr·u, or with
    `decay_after` the decay multiplies the stepped p.
    """
    (b1, b2), p, path = betas, np.asarray(p0), []
    b3 = b2 if shampoo_beta is None else shampoo_beta
    whole = p.ndim < 2 and not precondition_1d
    factors = [None if whole or n > max_size else np.zeros((n, n)) for n in p.shape]
    m = v = np.zeros_like(p)
    bases = []
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True)):
        if t > 0:
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * turned(g, bases) ** 2
            c1, c2 = 1 - b1**t, 1 - b2**t
            u = turned(np.sqrt(c2) / c1 * turned(m, bases) / (np.sqrt(v) + eps), bases, back=True)
            p = (p - lr * u) * (1 - lr * weight_decay) if decay_after else (1 - lr * weight_decay) * p - lr * u
        factors = [None if h is None else b3 * h + (1 - b3) * gram(g, i) for i, h in enumerate(factors)]
        if t == 0:
            bases = [None if h is None else np.linalg.eigh(h)[1][:, ::-1] for h in factors]
        elif t % every == 0:
            for i, h in enumerate(factors):
                if h is not None:
                    order = np.argsort(-np.einsum("ij,ik,kj->j", bases[i], h, bases[i]))
                    v = np.take(v, order, axis=i)
                    bases[i] = np.linalg.qr(h @ bases[i][:, order])[0]
        path.append(p)
    return path
