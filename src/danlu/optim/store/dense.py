"""Dense storage: one number per element, in the compute dtype or a narrower one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.piece import Codec
from danlu.optim.values import Scalars

__all__ = ["Dense"]


@piece(source="torch.optim's own layout")
@dataclass(frozen=True)
class Dense(Codec):
    """x kept as it is: exact, 4 bytes per parameter (8 for a float64 parameter).

    Args:
        dtype: a floating dtype to round to on every store (to nearest). None keeps the compute dtype, which is float32 or
            wider whatever the parameter's dtype. bfloat16 forgets correctly only while 1 − β > 2⁻⁸: not for β₂ = 0.999.
    """

    dtype: torch.dtype | None = None

    @property
    def paired(self) -> bool:
        """Two slots in bfloat16 share words."""
        return self.dtype == torch.bfloat16

    def encode(self, x: Tensor, h: Scalars) -> dict[str, Tensor]:
        """Return the one part, in the storage dtype."""
        return {"": x if self.dtype is None else x.to(self.dtype)}

    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return the stored value in the compute dtype."""
        return parts[""].to(like.dtype)
