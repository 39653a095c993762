"""Eight bits per number: blocks scaled by their largest magnitude, and a table of 256 values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.piece import Codec
from danlu.optim.store.dense import Dense
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

    @property
    def row(self) -> int:
        """A block."""
        return self.block

    def at(self, count: int) -> Codec:
        """Dense below `min_size`."""
        return Dense() if count < self.min_size else replace(self, min_size=0)

    def encode(self, x: Tensor, h: Scalars) -> dict[str, Tensor]:
        """Return a code of one byte per element, and a float32 scale per block."""
        if x.numel() < self.min_size:
            return {"": x}
        rows = self._blocks(torch.relu(x).sqrt() if self.root else x)
        size = rows.abs()
        scale = size.amax(1)
        place = self._place(size * (1.0 / scale.clamp_min(torch.finfo(x.dtype).tiny))[:, None])
        # No number but zero has the code of zero.
        code = torch.where(size > 0, place.clamp_min(self._parts), self._parts - 1)
        code = code - 1 if self.root else torch.where(rows < 0, 127 - code.clamp_max(127), 127 + code)
        if code.shape != x.shape:
            code = code.view(-1)[: x.numel()].view(x.shape)
        return {"code": code.to(torch.uint8), "scale": scale.float()}

    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return s times the entries."""
        if "" in parts:
            return parts[""].to(like.dtype)
        x = self._blocks(self._entry(parts["code"].to(like.dtype))) * parts["scale"].to(like.dtype)[:, None]
        if x.shape != like.shape:
            x = x.view(-1)[: like.numel()].view(like.shape)
        return x * x if self.root else x

    # The table is a function of the place t: with k entries in the lowest decade (1, or 2 without signs), decade i holds the
    # places k·2ⁱ ≤ t < k·2ⁱ⁺¹ as k·2ⁱ equal parts of [0.1, 1]·10^(i−6), each read at its middle; the last place is 1 itself.
    # That is a line per decade, and looking nothing up is what lets a kernel do many elements at once.

    @property
    def _parts(self) -> int:
        return 2 if self.root else 1

    def _entry(self, code: Tensor) -> Tensor:
        """The entry of each code, for codes as numbers of the compute dtype."""
        last = 128 * self._parts
        t = code + 1.0 if self.root else (code - 127.0).abs()
        middle = last - torch.relu(last - 0.5 - t)
        slopes = [0.9e-6 * 5.0**i / self._parts for i in range(7)]
        entry = torch.relu(middle * slopes[0] - 0.8e-6)  # 0 at the place before the first
        for i, (before, slope) in enumerate(pairwise(slopes), start=1):
            entry = entry + torch.relu((middle - self._parts * 2.0**i) * (slope - before))
        return entry if self.root else torch.where(code < 127.0, -entry, entry)

    def _place(self, unit: Tensor) -> Tensor:
        """The place of the nearest entry, for sizes in [0, 1]; below the first one it may be less than that one's."""
        lines = [unit * (1e6 * self._parts / 0.9 / 5.0**i) + self._parts * 2.0**i * 0.8 / 0.9 for i in range(7)]
        lowest = lines[0]
        for line in lines[1:]:
            lowest = line - torch.relu(line - lowest)
        t = lowest.int()
        # The first part of a decade is five times as long as the last one before: its first fifth is nearer to that one.
        seam = (t & (t - 1) == 0) & (lowest - t < 0.2)
        t = torch.where(seam, t - 1, t)
        return torch.where(lowest >= 128 * self._parts - 0.25, 128 * self._parts, t)

    def _blocks(self, x: Tensor) -> Tensor:
        """The elements as rows of one block each, the last one filled up with zeros."""
        if x.ndim == 2 and x.shape[1] == self.block:  # never reshaped in a kernel: what it writes would be copied back
            return x
        return torch.nn.functional.pad(x.reshape(-1), (0, -x.numel() % self.block)).view(-1, self.block)
