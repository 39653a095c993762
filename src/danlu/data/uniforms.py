"""Random numbers that are looked up, not drawn: number j of row i is a hash, so no other row has a say in it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["normal", "seed_of", "uniforms"]

_STEP = 0x9E3779B97F4A7C15 - (1 << 64)  # as signed 64-bit numbers, which torch multiplies modulo 2⁶⁴
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


def seed_of(draw: torch.Generator | None) -> int:
    """Return a seed for `uniforms` or another generator, one number drawn from `draw`; None is torch's own."""
    return int(torch.randint(2**63 - 1, (), generator=draw))


def uniforms(seed: int, rows: Tensor, numbers: int) -> Tensor:
    """u[i, j] = (⌊h/2⁴¹⌋ + ½)/2²³ with h = mix(mix(seed, rows[i]), j), uniform in (0, 1), 0 and 1 not among them.

    mix is the output function of SplitMix64 (Steele, Lea, Flood, 2014) at ``seed + 0x9E37…15·(1 + row)`` modulo 2⁶⁴: 64
    good bits from any counter. So a row's numbers are the same in whatever batch, order, process or machine it is read.

    Args:
        seed: such as ``key(seed, "augment", epoch)``.
        rows: n whole numbers, such as the samples' places in the data set.
        numbers: k, how many for each row; asking for more leaves the first ones as they are.

    Returns:
        Shape (n, k), float32, on the CPU.
    """
    at_row = _mix(torch.full((), seed, dtype=torch.int64), rows.cpu().long())
    h = _mix(at_row[:, None], torch.arange(numbers))
    return (_shifted(h, 41).float() + 0.5) / 2**23  # 23 bits and a half are exact in float32


def normal(u: Tensor) -> Tensor:
    """Turn uniform numbers into normal ones: Φ⁻¹(u) = √2·erf⁻¹(2u − 1), at most 5.3 in size for 23 bits."""
    return math.sqrt(2) * torch.erfinv(2 * u - 1)


def _mix(state: Tensor, counter: Tensor) -> Tensor:
    z = state + _STEP * (counter + 1)
    z = (z ^ _shifted(z, 30)) * _FIRST
    z = (z ^ _shifted(z, 27)) * _SECOND
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """z shifted to the right with zeros coming in; torch's own shift repeats the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
