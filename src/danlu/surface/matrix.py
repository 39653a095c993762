"""A problem whose parameter is a matrix, for rules that see one (Muon, Shampoo, SOAP, factored moments)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from danlu.keyed import generator
from danlu.surface.functions import Condition
from danlu.surface.surface import Domain, Surface, register

__all__ = ["MatrixLeastSquares"]

_SIZE = 4


@register(source="ours: linear regression with an ill-conditioned input on one side and an ill-conditioned output on the other")
@dataclass(frozen=True)
class MatrixLeastSquares(Surface):
    """f = ½‖A·W·B‖²_F, W 4 × 4, A and B of condition √κ: the picture is the plane of two fixed orthonormal matrices E, F.

    W = x·E + y·F at the start; a path may leave the plane, and what is drawn is its projection. Contours are f on the plane.

    Args:
        condition: κ of the Hessian BBᵀ ⊗ AᵀA, at most; its square root is each side's.
    """

    condition: Condition = 30.0

    shape = (_SIZE, _SIZE)
    domain = Domain(-4.0, 4.0, -3.0, 3.0)
    start = (-3.2, 2.2)
    minima = ((0.0, 0.0),)
    lowest = 0.0

    @cached_property
    def _sides(self) -> tuple[Tensor, Tensor]:
        scale = torch.logspace(0.0, -0.25 * math.log10(self.condition), _SIZE, dtype=torch.float64)
        return scale[:, None] * _orthogonal("left"), _orthogonal("right") * scale

    @cached_property
    def _plane(self) -> Tensor:
        """Two orthonormal matrices, of shape (2, 4, 4)."""
        return _orthogonal("plane", _SIZE * _SIZE)[:2].reshape(2, _SIZE, _SIZE)

    def value(self, p: Tensor) -> Tensor:
        """Return f(W) for W of shape (…, 4, 4)."""
        left, right = self._sides
        residual = left @ p @ right
        return 0.5 * (residual * residual).sum((-2, -1))

    def embed(self, points: Tensor) -> Tensor:
        """Return x·E + y·F."""
        return torch.einsum("...k,kij->...ij", points, self._plane)

    def project(self, p: Tensor) -> Tensor:
        """Return (⟨W, E⟩, ⟨W, F⟩)."""
        return torch.einsum("...ij,kij->...k", p, self._plane)


def _orthogonal(name: str, size: int = _SIZE) -> Tensor:
    drawn = torch.randn(size, size, generator=generator("matrix_least_squares", name), dtype=torch.float64)
    return torch.linalg.qr(drawn).Q
