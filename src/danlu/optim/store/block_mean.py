"""One number for a block of elements: the second moment of Adam-mini and Amos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from danlu.optim.catalog import piece
from danlu.optim.formulas.blocks import Blocks, block_mean
from danlu.optim.piece import Codec
from danlu.optim.values import Scalars, Scope, Sight
from danlu.ranges import Interval, Structural

__all__ = ["BlockMean", "Rows"]

Rows = Annotated[int, Interval(1, 2**31, "left"), Structural()]


@piece(source="Zhang et al. 2024 (Adam-mini), arXiv:2406.16793; Tian & Parikh 2022 (Amos), arXiv:2210.11693")
@dataclass(frozen=True)
class BlockMean(Codec):
    """v kept as its mean over each block, and read as that mean at every element. For magnitudes only.

    An average of what is stored is the average of the blocks' means. Blocks should be those of the Hessian: rows of an MLP, of
    a value or an output projection, of an embedding (a token); heads of a query or key projection (`rows` = rows per head).
    One block for a whole embedding or convolution is unstable. A bias, a norm and a scalar are one block; keep biases dense to
    follow the authors. 4 bytes per block.

    Args:
        blocks: "row" or "tensor", the blocks as `danlu.optim.formulas.blocks` cuts them.
        rows: how many consecutive rows are one block; the last block may have fewer.
    """

    blocks: Blocks = "row"
    rows: Rows = 1

    scope: ClassVar[Scope] = "tensor"
    fresh: ClassVar[bool] = False

    @property
    def sees(self) -> Sight:
        """Rows against the rest."""
        return "rows" if self.rows == 1 else "shape"

    @property
    def signed(self) -> bool:
        """A mean over values of either sign says nothing of their size."""
        return False

    def encode(self, x: Tensor, h: Scalars) -> dict[str, Tensor]:
        """Return the means."""
        means = block_mean(x, self.blocks)
        if self.rows == 1 or means.numel() == 1:
            return {"": means}
        total, count = (self._joined(x) for x in (means, torch.ones_like(means)))
        return {"": total / count}

    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return the mean of its block at every element."""
        means = parts[""].to(like.dtype)
        if means.ndim < like.ndim:
            means = means.repeat_interleave(self.rows)[: len(like)].view(-1, *[1] * (like.ndim - 1))
        return means.expand_as(like)

    def _joined(self, rows: Tensor) -> Tensor:
        """The sums over each `rows` consecutive rows."""
        return pad(rows.view(-1), (0, -len(rows) % self.rows)).view(-1, self.rows).sum(1)
