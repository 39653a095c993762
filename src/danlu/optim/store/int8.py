"""Eight bits per number by the paper's table of 256 values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.store.blockwise import AbstractBlockwise

__all__ = ["Int8"]


@piece(source="Dettmers et al. 2021 (8-bit optimizers), arXiv:2110.02861")
@dataclass(frozen=True)
class Int8(AbstractBlockwise):
    """code = nearest entry of a table of 256 to x/s, s = max|x| of its block of consecutive elements.

    The table is the paper's: seven decades down from 1, finer towards 1, 127 negative entries or none. The step reads the fresh
    value; only what is kept is rounded. One number of 1e4 puts the 255 others of its block below the table's smallest entries.
    1 + 4/256 bytes per parameter, so 2.03 for Adam. On a CPU `Float8` is quicker.

    Two departures. A number that is not zero never becomes zero: a second moment that does, beside a first one that does not,
    is a step of m/ε (jumps of 40 were measured with plain rounding). And magnitudes are kept by their root, which spans half
    the decades: the largest error after 30 steps is half of that of v itself. One codec for all slots does so at those that
    hold magnitudes.

    Args:
        block: elements per scale.
        root: keep √x, with a table without negative entries: for magnitudes.
        min_size: tensors of fewer elements stay dense (the paper's 4096 keeps biases and norms exact).
    """

    costly: ClassVar[bool] = True

    def scales(self, largest: Tensor) -> tuple[Tensor, Tensor]:
        """Return the largest magnitude, or its root."""
        scale = largest.sqrt() if self.root else largest
        return scale, scale.clamp_min(torch.finfo(scale.dtype).tiny).reciprocal()

    def code(self, unit: Tensor, x: Tensor) -> Tensor:
        """Return the place in the table, counted from its lowest entry."""
        # No number but zero has the code of zero.
        place = torch.where(x != 0, self._place(unit).clamp_min(self._parts), self._parts - 1)
        return place - 1 if self.root else torch.where(x < 0, 127 - place.clamp_max(127), 127 + place)

    def value(self, code: Tensor) -> Tensor:
        """Return the entries."""
        return self._entry(code.float())

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
        ninths = 9.0 * (last - torch.relu(last - 0.5 - t))  # of a place; halves, so that differences are exact
        lines = [(ninths - 8.0 * self._parts * 2.0**i) * (1e-7 * 5.0**i / self._parts) for i in range(7)]
        entry = torch.relu(_outermost(torch.maximum, lines))  # 0 at the place before the first
        return entry if self.root else torch.where(code < 127.0, -entry, entry)

    def _place(self, unit: Tensor) -> Tensor:
        """The place of the nearest entry, for sizes in [0, 1]; below the first one it may be less than that one's."""
        lines = [unit * (1e6 * self._parts / 0.9 / 5.0**i) + self._parts * 2.0**i * 0.8 / 0.9 for i in range(7)]
        lowest = _outermost(torch.minimum, lines)
        t = lowest.int()
        # The first part of a decade is five times as long as the last one before: its first fifth is nearer to that one.
        seam = (t & (t - 1) == 0) & (lowest - t < 0.2)
        t = torch.where(seam, t - 1, t)
        return torch.where(lowest >= 128 * self._parts - 0.25, 128 * self._parts, t)


def _outermost(choose: Callable[[Tensor, Tensor], Tensor], lines: Sequence[Tensor]) -> Tensor:
    """Return the largest or smallest of numbers that is not negative, by their bits as whole numbers.

    That is one instruction of a kernel each; between floats, where nan counts, it is four.
    """
    whole = torch.int64 if lines[0].dtype == torch.float64 else torch.int32
    return functools.reduce(choose, (line.view(whole) for line in lines)).view(lines[0].dtype)
