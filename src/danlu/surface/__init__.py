"""Surfaces: small problems with a picture, and the traces that the library's own rules leave on them."""

from danlu.surface.best import best_lr
from danlu.surface.digits import DigitsMLP
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
from danlu.surface.plane import Plane, filter_normalised, principal_plane
from danlu.surface.plot import picture, plane_picture
from danlu.surface.surface import SURFACES, Domain, Surface, create, register, surfaces
from danlu.surface.trace import Trace, batches, refusal, trace, traces

__all__ = [
    "SURFACES",
    "Beale",
    "Cliff",
    "DigitsMLP",
    "Domain",
    "Gaussian",
    "HeavyTailed",
    "Himmelblau",
    "MatrixLeastSquares",
    "MonkeySaddle",
    "Noise",
    "Plane",
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
    "filter_normalised",
    "picture",
    "plane_picture",
    "principal_plane",
    "refusal",
    "register",
    "surfaces",
    "trace",
    "traces",
]
