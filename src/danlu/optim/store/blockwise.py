"""Eight bits per number: blocks scaled by their largest magnitude."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from danlu.optim.piece import Codec
from danlu.optim.store.dense import Dense
from danlu.optim.values import Scalars, Scope
from danlu.ranges import Interval, Structural

__all__ = ["AbstractBlockwise", "Block", "MinSize"]

Block = Annotated[int, Interval(1, 2**31, "left"), Structural()]
MinSize = Annotated[int, Interval(0, 2**63, "left"), Structural()]


@dataclass(frozen=True)
class AbstractBlockwise(Codec):
    """code = nearest of 256 values to x/s, s = max|x| of its block of consecutive elements.

    The step reads the fresh value; only what is kept is rounded. 1 + 4/block bytes per parameter. A magnitude that is not zero
    never becomes zero: a second moment that does, beside a first one that does not, is a step of m/ε. One codec for all slots
    keeps magnitudes by their root, which spans half the decades.

    Args:
        block: elements per scale.
        root: keep √x, without signs: for magnitudes.
        min_size: tensors of fewer elements stay dense.
    """

    block: Block = 256
    root: bool = False
    min_size: MinSize = 0

    scope: ClassVar[Scope] = "tensor"

    @property
    def signed(self) -> bool:
        """A root has no sign."""
        return not self.root

    def for_magnitudes(self) -> Codec:
        """The same, of the root."""
        return replace(self, root=True)

    @property
    def row(self) -> int:
        """A block."""
        return self.block

    def at(self, count: int) -> Codec:
        """Dense below `min_size`."""
        return Dense() if count < self.min_size else replace(self, min_size=0)

    def encode(self, x: Tensor, h: Scalars) -> dict[str, Tensor]:
        """Return a code of one byte per element, and per block a float32 scale, that of the value 1."""
        if x.numel() < self.min_size:
            return {"": x}
        rows = self._blocks(x)
        size = rows if self.root else rows.abs()
        scale, inverse = self.scales(size.amax(1))
        code = self.code((size.sqrt() if self.root else size) * inverse[:, None], rows)
        if code.shape != x.shape:
            code = code.view(-1)[: x.numel()].view(x.shape)
        return {"code": code.to(torch.uint8), "scale": scale.float()}

    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return the scale times the values."""
        if "" in parts:
            return parts[""].to(like.dtype)
        x = self._blocks(self.value(parts["code"]).to(like.dtype)) * parts["scale"].to(like.dtype)[:, None]
        if x.shape != like.shape:
            x = x.view(-1)[: like.numel()].view(like.shape)
        return x * x if self.root else x

    @abstractmethod
    def scales(self, largest: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scale of every block and its inverse, given max|x|: with `root` they are those of √x."""

    @abstractmethod
    def code(self, unit: Tensor, x: Tensor) -> Tensor:
        """Return the codes, whole numbers in [0, 255], of |x| over the scale and of x, whose sign and zeros count."""

    @abstractmethod
    def value(self, code: Tensor) -> Tensor:
        """Return what codes of uint8 stand for, in scales."""

    def _blocks(self, x: Tensor) -> Tensor:
        """The elements as rows of one block each, the last one filled up with zeros."""
        if x.ndim == 2 and x.shape[1] == self.block:  # never reshaped in a kernel: what it writes would be copied back
            return x
        return torch.nn.functional.pad(x.reshape(-1), (0, -x.numel() % self.block)).view(-1, self.block)
