"""Rank-1 storage of a second moment: Adafactor's row and column means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.piece import Codec
from danlu.optim.store.rank_one import expanded, means
from danlu.optim.values import Scalars, Scope, Sight

__all__ = ["Factored", "FactoredDims"]

FactoredDims = Literal["flatten", "last2", "first2", "largest"]


@piece(source="Shazeer & Stern 2018 (Adafactor), arXiv:1804.04235")
@dataclass(frozen=True)
class Factored(Codec):
    """v kept as its row means R and column means C, read back as V = Rᵢ·Cⱼ/mean(R). For magnitudes only.

    An average of what is stored is the average of the means, because taking means is linear and V has the means R and C again;
    so ``Ema`` in this store is Adafactor's second moment. The step reads V as stored, not the fresh value: one root of V, which
    is about a third closer than the product of two reciprocal roots. Where a dead row crosses a dead column V is 0 in float32:
    divide by it with a floor (``direction.ClampRatio``).

    4(r + c)/(rc) bytes per parameter of an r × c matrix; tensors of fewer than two dimensions stay dense (4 bytes).

    Args:
        dims: which two dimensions are rows and columns of a tensor that has more: "flatten" is (O, rest), one pair for the
            tensor; "last2" (transformers, torch; saves next to nothing on 3 × 3 kernels), "first2" (timm, one pair per kernel
            position) and "largest" (optax; the later ones among equals) keep a pair for each index of the others. State under
            one choice does not fit another.
    """

    dims: FactoredDims = "flatten"

    scope: ClassVar[Scope] = "tensor"
    fresh: ClassVar[bool] = False

    @property
    def sees(self) -> Sight:
        """Rows against the rest, or every axis."""
        return "rows" if self.dims == "flatten" else "axes"

    @property
    def signed(self) -> bool:
        """Means of values of either sign say nothing of their size."""
        return False

    def encode(self, x: Tensor, h: Scalars) -> dict[str, Tensor]:
        """Return the means over columns and over rows."""
        if x.ndim < 2:
            return {"": x}
        row, col = means(x.flatten(1) if self.dims == "flatten" else x.movedim(self._pair(x), (-2, -1)))
        return {"row": row, "col": col}

    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return Rᵢ·Cⱼ/mean(R) in the shape of `like`."""
        if like.ndim < 2:
            return parts[""].to(like.dtype)
        matrix = expanded(parts["row"].to(like.dtype), parts["col"].to(like.dtype))
        return matrix.reshape(like.shape) if self.dims == "flatten" else matrix.movedim((-2, -1), self._pair(like))

    def _pair(self, x: Tensor) -> tuple[int, int]:
        """The dimensions of rows and columns."""
        if self.dims == "largest":
            row, col = sorted(range(x.ndim), key=lambda i: x.shape[i])[-2:]
            return row, col
        return (0, 1) if self.dims == "first2" else (x.ndim - 2, x.ndim - 1)
