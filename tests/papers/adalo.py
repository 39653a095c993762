"""AdaLo as source 003 and cpuimage/AdaLo have it, z kept once for all tensors."""

import numpy as np

__all__ = ["adalo"]


def adalo(p0, grads, lrs, *, losses, betas=(0.9, 0.999), weight_decay=1e-2, kappa=3.0, eps=1e-8, mode="adversarial"):
    """z ← β₂z + (1 − β₂)·h, h = (tanh(−log(1 + L)/2) + 1)/2; a = max(z/κ, ε); p ← (1 − a·λ)·p − a·m. lr multiplies a."""
    (b1, b2), p, path = betas, np.asarray(p0), []
    m, z = np.zeros_like(p), 0.0
    for g, lr, loss in zip(grads, lrs, losses, strict=True):
        m = b1 * m + (1 - b1) * g
        h = loss if mode == "linear" else (np.tanh(-np.log(1 + loss) / 2) + 1) / 2
        z = b2 * z + (1 - b2) * h
        a = lr * max((1 - z if mode == "compliant" else z) / kappa, eps)
        p = (1 - a * weight_decay) * p - a * m
        path.append(p)
    return path
