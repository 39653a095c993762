"""Eigendecompositions that show what is not finite, instead of stopping there."""

import math

import torch
from torch import Tensor

__all__ = ["eigen"]


def eigen(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues, rising, and the eigenvectors, as columns, of symmetric matrices (…, n, n), in double precision.

    Those of a matrix with an element that is not finite are nan. LAPACK gives up there, in the middle of a step: tensors before
    this one would have moved, and no others.
    """
    found = x.isfinite().flatten(-2).all(-1)
    values, vectors = torch.linalg.eigh(torch.where(found[..., None, None], x, 0.0).double())
    return torch.where(found[..., None], values, math.nan), torch.where(found[..., None, None], vectors, math.nan)
