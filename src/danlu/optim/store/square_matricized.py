"""Rank-1 storage of any moment, first moments included: SMMF's square matrices with sign bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.piece import Codec
from danlu.optim.store.rank_one import expanded, means
from danlu.optim.values import Scalars, Scope

__all__ = ["SquareMatricized"]


@piece(source="Park & Lee 2024 (SMMF), arXiv:2412.08894; the authors' code")
@dataclass(frozen=True)
class SquareMatricized(Codec):
    """x kept as signs and rank-1 factors of |x| in the squarest shape n × m, read back as x = ±rᵢ·cⱼ/mean(r).

    The step reads the fresh value, before compression. Sums over rows and columns of |x| survive the round trip; signs do, with
    0 read as negative. So zeros do not stay zeros: a parameter whose gradient is 0 for ever gets a moment from its neighbours
    and moves. Leave frozen or padded rows out (a group of their own), or use it for magnitudes only.

    About 8/√N bytes per parameter of a tensor with N elements, and 1/8 for the signs, which are packed eight to a byte (the
    authors' code spends a byte on each). A prime N has the shape N × 1: exact, and no saving. We keep means, the authors sums.

    Args:
        signs: keep signs; False for magnitudes.
        vectors: compress tensors of one dimension too (those of size 1 not counted); False keeps them dense.
    """

    signs: bool = True
    vectors: bool = True

    scope: ClassVar[Scope] = "tensor"

    @property
    def signed(self) -> bool:
        """As it was chosen."""
        return self.signs

    def for_magnitudes(self) -> SquareMatricized:
        """The same without signs."""
        return replace(self, signs=False)

    def encode(self, x: Tensor, h: Scalars) -> dict[str, Tensor]:
        """Return the factors of |x|, and the packed signs."""
        if self._dense(x):
            return {"": x}
        row, col = means(x.abs().reshape(_squarest(x.numel())))
        return {"row": row, "col": col, **({"sign": _packed(x.flatten() > 0)} if self.signs else {})}

    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return the signed product of the factors in the shape of `like`."""
        if self._dense(like):
            return parts[""].to(like.dtype)
        size = expanded(parts["row"].to(like.dtype), parts["col"].to(like.dtype)).reshape(like.shape)
        if not self.signs:
            return size
        return torch.where(_unpacked(parts["sign"], like.numel()).view(like.shape), size, -size)

    def _dense(self, x: Tensor) -> bool:
        return not x.numel() or (not self.vectors and sum(n != 1 for n in x.shape) < 2)


@cache
def _squarest(count: int) -> tuple[int, int]:
    """The divisors n ≥ m of a count that are nearest to each other."""
    m = next(m for m in range(math.isqrt(count), 0, -1) if count % m == 0)
    return count // m, m


def _places(like: Tensor) -> Tensor:
    return torch.arange(8, dtype=torch.uint8, device=like.device)


def _packed(bits: Tensor) -> Tensor:
    """Eight bits to a byte, the first one lowest; the last byte is filled with zeros."""
    bits = torch.nn.functional.pad(bits, (0, -bits.numel() % 8)).view(-1, 8)
    return (bits.byte() << _places(bits)).sum(-1, dtype=torch.uint8)


def _unpacked(packed: Tensor, count: int) -> Tensor:
    return (packed.unsqueeze(-1) >> _places(packed) & 1).bool().flatten()[:count]
