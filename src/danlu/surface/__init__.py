"""Surfaces: small problems with a picture, and the traces that the library's own rules leave on them."""

from danlu.surface.best import best_lr
from danlu.surface.functions import (
    Beale,
    Cliff,
    Himmelblau,
    MonkeySaddle,
    Plateau,
    Quadratic,
    Rastrigin,
    Ravine,
    Rosenbrock,
    Saddle,
    StyblinskiTang,
)
from danlu.surface.matrix import MatrixLeastSquares
from danlu.surface.noise import Gaussian, HeavyTailed, Noise, Sparse
from danlu.surface.plot import picture
from danlu.surface.surface import SURFACES, Domain, Surface, create, surfaces
from danlu.surface.trace import Trace, batches, refusal, trace

__all__ = [
    "SURFACES",
    "Beale",
    "Cliff",
    "Domain",
    "Gaussian",
    "HeavyTailed",
    "Himmelblau",
    "MatrixLeastSquares",
    "MonkeySaddle",
    "Noise",
    "Plateau",
    "Quadratic",
    "Rastrigin",
    "Ravine",
    "Rosenbrock",
    "Saddle",
    "Sparse",
    "StyblinskiTang",
    "Surface",
    "Trace",
    "batches",
    "best_lr",
    "create",
    "picture",
    "refusal",
    "surfaces",
    "trace",
]
