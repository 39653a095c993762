"""Eight bits per number: blocks scaled by their largest magnitude, and a table of 256 values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.piece import Codec
from danlu.optim.values import Scalars, Scope
from danlu.ranges import Interval, Structural

__all__ = ["Block", "Int8", "MinSize"]

Block = Annotated[int, Interval(1, 2**31, "left"), Structural()]
MinSize = Annotated[int, Interval(0, 2**63, "left"), Structural()]


@piece(source="Dettmers et al. 2021 (8-bit optimizers), arXiv:2110.02861")
@dataclass(frozen=True)
class Int8(Codec):
    """code = nearest entry of a table of 256 to x/s, s = max|x| of its block of consecutive elements.

    The table is the paper's: seven decades down from 1, finer towards 1, 127 negative entries or none. The step reads the fresh
    value; only what is kept is rounded. One number of 1e4 puts the 255 others of its block below the table's smallest entries.
    1 + 4/256 bytes per parameter, so 2.03 for Adam.

    Two departures. A number that is not zero never becomes zero: a second moment that does, beside a first one that does not,
    is a step of m/ε (jumps of 40 were measured with plain rounding). And magnitudes are kept by their root, which spans half
    the decades: the largest error after 30 steps is half of that of v itself. One codec for all slots does so at those that
    hold magnitudes.

    Args:
        block: elements per scale.
        root: keep √x, with a table without negative entries: for magnitudes.
        min_size: tensors of fewer elements stay dense (the paper's 4096 keeps biases and norms exact).
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

    def encode(self, x: Tensor, h: Scalars) -> dict[str, Tensor]:
        """Return a code of one byte per element, and a float32 scale per block."""
        if x.numel() < self.min_size:
            return {"": x}
        rows = self._blocks(x.clamp_min(0.0).sqrt() if self.root else x)
        scale = rows.abs().amax(1).float()
        _, bounds = _table(self.root, x.dtype, x.device)
        zero = 0 if self.root else 127  # its place in the table
        unit = rows / scale.to(x.dtype).clamp_min(torch.finfo(x.dtype).tiny)[:, None]
        code = torch.bucketize(unit, bounds, right=True, out_int32=True)
        code = torch.where(code == zero, zero + rows.sign().int(), code)
        return {"code": code.view(-1)[: x.numel()].view(x.shape).byte(), "scale": scale}

    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return s times the entries."""
        if "" in parts:
            return parts[""].to(like.dtype)
        values, _ = _table(self.root, like.dtype, like.device)
        rows = values[self._blocks(parts["code"]).int()] * parts["scale"].to(like.dtype)[:, None]
        x = rows.view(-1)[: like.numel()].view(like.shape)
        return x * x if self.root else x

    def _blocks(self, x: Tensor) -> Tensor:
        """The elements as rows of one block each, the last one filled up with zeros."""
        return torch.nn.functional.pad(x.reshape(-1), (0, -x.numel() % self.block)).view(-1, self.block)


@cache
def _table(unsigned: bool, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The 256 entries in rising order, and the bounds between them."""
    # For i = 0 … 6 the midpoints of 2ⁱ (2ⁱ⁺¹ without signs) equal parts of [0.1, 1], times 10^(i−6); and 0 and 1.
    entries = [0.0, 1.0]
    for i in range(7):
        parts = 2 ** (i + unsigned)
        middle = [(0.1 + 0.9 * (k + 0.5) / parts) * 10.0 ** (i - 6) for k in range(parts)]
        entries += middle if unsigned else [*middle, *(-x for x in middle)]
    values = torch.tensor(sorted(entries), dtype=torch.float64)
    return values.to(device, dtype), ((values[1:] + values[:-1]) / 2).to(device, dtype)
