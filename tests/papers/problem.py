"""Random gradients on four shapes, of mixed scale, with a lr that changes at every update."""

import numpy as np

__all__ = ["PEAK", "problem"]

PEAK = 0.05


def problem(seed, steps=14):
    """Return starts and gradients (steps, *shape) by tensor name, and lrs below PEAK."""
    rng = np.random.default_rng(seed)
    shapes = {"scalar": (), "vector": (5,), "matrix": (4, 3), "kernel": (3, 2, 2, 2)}
    p0 = {name: np.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}
    scales = {name: 10.0 ** rng.uniform(-2, 1, size=shape) for name, shape in shapes.items()}
    grads = {name: scales[name] * rng.normal(size=(steps, *shape)) for name, shape in shapes.items()}
    return p0, grads, PEAK * rng.uniform(0.1, 1.0, size=steps)
