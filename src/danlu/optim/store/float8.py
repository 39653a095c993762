"""Eight bits per number as a small floating-point number: cheap to compute."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.store.blockwise import AbstractBlockwise

__all__ = ["Float8"]

_MANTISSA = 23  # bits, of float32
_LOWEST = 127 - 15  # of float32's exponents, the one that is 0 here
_OFFSET = 2.0**-15  # the smallest float of that exponent, which stands for 0


@piece(source="blocks: Dettmers et al. 2021, arXiv:2110.02861; 8-bit floats: Micikevicius et al. 2022, arXiv:2209.05433")
@dataclass(frozen=True)
class Float8(AbstractBlockwise):
    """code = nearest of 256 small floats to x/s, s = max|x| of its block: 4 bits of exponent, 3 of mantissa and a sign.

    With ε = 2⁻¹⁵ the values are those floats from ε to 2, less ε: the first is 0, and small ones are evenly spread. Each is
    within 1/16 of what it stands for from 3ε on. Magnitudes are kept by their root, with 4 bits of mantissa and no sign:
    within 1/16 too, over nine decades. `Int8` is finer near s and coarser far below it; this one takes a shift and an addition
    each way, where a table takes a line per decade. 1 + 4/256 bytes per parameter, so 2.03 for Adam.

    Departures from the papers: no infinities; a magnitude that is not zero never becomes zero (a signed number does, below
    2⁻¹⁹·s: raised to the smallest value it would be a step too long); s is the largest magnitude of the block, no power of two.

    Args:
        block: elements per scale.
        root: keep √x, without signs: for magnitudes.
        min_size: tensors of fewer elements stay dense.
    """

    @property
    def _bits(self) -> int:
        """Of the mantissa."""
        return 4 if self.root else 3

    @property
    def peak(self) -> float:
        """The highest exponent and a mantissa of ones, less the offset."""
        return 2.0 - 2.0**-self._bits - _OFFSET

    def code(self, unit: Tensor, x: Tensor) -> Tensor:
        """Return exponent and mantissa, rounded to the nearest, with the sign in front."""
        cut = _MANTISSA - self._bits
        bits = (unit + _OFFSET).float().view(torch.int32) + ((1 << (cut - 1)) - (_LOWEST << _MANTISSA))
        place = bits >> cut
        if self.root:  # a second moment that is 0 beside a first one that is not is a step of m/ε
            place = torch.where(x != 0, place.clamp_min(1), 0)
        return place if self.root else torch.where(x < 0, place + 128, place)

    def value(self, code: Tensor) -> Tensor:
        """Return the small floats."""
        whole = code.float().int()  # by way of floats, which kernels do sixteen at a time
        place = whole if self.root else whole & 127
        size = ((place << (_MANTISSA - self._bits)) + (_LOWEST << _MANTISSA)).view(torch.float32) - _OFFSET
        return size if self.root else torch.where(whole > 127, -size, size)
