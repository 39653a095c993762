"""Eight bits per number as a small floating-point number: cheap to compute."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.store.blockwise import AbstractBlockwise

__all__ = ["Float8"]

_MANTISSA = 23  # bits, of float32
_BIAS = 127  # of its exponents: that of 1
_LOWEST = _BIAS - 15  # of its exponents, the one that is 0 here
_SIGN = 128  # of a code; 24 places to the left it is that of a float32
_OFFSET = 2.0**-15  # the smallest float of that exponent, which stands for 0


@piece(
    source="blocks: Dettmers et al. 2021, arXiv:2110.02861; 8-bit floats: Micikevicius et al. 2022, arXiv:2209.05433; "
    "scales: Rouhani et al. 2023, arXiv:2310.10537"
)
@dataclass(frozen=True)
class Float8(AbstractBlockwise):
    """code = nearest of 256 small floats to x/s, s = 2^⌊log₂ max|x|⌋ of its block: a sign, 4 bits of exponent, 3 of mantissa.

    With ε = 2⁻¹⁵ the values are those floats from ε to 2, less ε: the first is 0, and small ones are evenly spread. Each is
    within 1/16 of what it stands for from 3ε on. Magnitudes are kept by their root, with 4 bits of mantissa and no sign:
    within 1/16 too, over nine decades. `Int8` is finer near the largest and coarser far below it; this one takes a shift and an
    addition each way and no division, where a table takes a line per decade. 1 + 4/256 bytes per parameter, so 2.03 for Adam.

    Departures from the papers: no infinities; a magnitude that is not zero never becomes zero (a signed number does, below
    2⁻¹⁹·s: raised to the smallest value it would be a step too long).

    Args:
        block: elements per scale.
        root: keep √x, without signs: for magnitudes.
        min_size: tensors of fewer elements stay dense.
    """

    @property
    def _bits(self) -> int:
        """Of the mantissa."""
        return 4 if self.root else 3

    def scales(self, largest: Tensor) -> tuple[Tensor, Tensor]:
        """Return the power of two at or below the largest magnitude, or below its root."""
        halved = self.root and largest.dtype == torch.float32  # the exponent instead of a root; a float64 might not fit
        if self.root and not halved:
            largest = largest.sqrt()
        exponent = (largest.float().view(torch.int32) >> _MANTISSA) - _BIAS
        if halved:
            exponent = exponent >> 1
        return ((_BIAS + exponent) << _MANTISSA).view(torch.float32), ((_BIAS - exponent) << _MANTISSA).view(torch.float32)

    def code(self, unit: Tensor, x: Tensor) -> Tensor:
        """Return exponent and mantissa, rounded to the nearest, with the sign in front."""
        cut = _MANTISSA - self._bits
        bits = (unit + _OFFSET).float().view(torch.int32) + ((1 << (cut - 1)) - (_LOWEST << _MANTISSA))
        place = (bits >> cut).clamp_max((16 << self._bits) - 1)  # what would be rounded up to 2 is the value before
        if self.root:  # a second moment that is 0 beside a first one that is not is a step of m/ε
            return torch.where(x != 0, place.clamp_min(1), 0)
        return place | ((x.float().view(torch.int32) >> 24) & _SIGN)

    def value(self, code: Tensor) -> Tensor:
        """Return the small floats."""
        whole = code.int()
        place = whole if self.root else whole & (_SIGN - 1)
        size = ((place << (_MANTISSA - self._bits)) + (_LOWEST << _MANTISSA)).view(torch.float32) - _OFFSET
        return size if self.root else (size.view(torch.int32) | ((whole & _SIGN) << 24)).view(torch.float32)
