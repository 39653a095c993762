"""Storage of an accumulator by the maxima of its slices: SM3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.formulas.covers import least, maxima
from danlu.optim.piece import Codec
from danlu.optim.values import Scalars, Scope, Sight

__all__ = ["Cover"]


@piece(source="Anil et al. 2019 (SM3-II), arXiv:1901.11150")
@dataclass(frozen=True)
class Cover(Codec):
    """ν kept as μₐ(i) = max of ν over the slice with index i on axis a, read back as the least μₐ of each element.

    For magnitudes only. What is read back is never below what was stored. ``moment.Sum`` in this store is SM3-II: the step
    divides by the fresh ν = min μ + g², and μ is replaced, so that a forgetting average forgets here too. Tensors of fewer than
    two dimensions stay dense: SM3 is Adagrad there.

    4·Σnₐ/Πnₐ bytes per parameter for a shape n₁ × … × n_k. Keep it in float32 or wider: sums saturate in bf16.
    """

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Every axis."""
        return "axes"

    @property
    def signed(self) -> bool:
        """A maximum over a slice bounds magnitudes only."""
        return False

    def encode(self, x: Tensor, h: Scalars) -> dict[str, Tensor]:
        """Return one vector of maxima per axis."""
        return {"": x} if x.ndim < 2 else {str(a): mu for a, mu in enumerate(maxima(x))}

    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return the smallest of the maxima that cover each element."""
        if like.ndim < 2:
            return parts[""].to(like.dtype)
        return least([parts[str(a)].to(like.dtype) for a in range(like.ndim)])
