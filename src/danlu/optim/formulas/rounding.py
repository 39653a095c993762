"""Rounding to bfloat16, written on the bits so that a compiler does not undo it."""

from __future__ import annotations

import torch
from torch import Tensor

from danlu.keyed import key
from danlu.optim.values import Scalar

__all__ = ["SEEDS", "bfloat16_at", "bfloat16_nearest", "draws", "seed_number"]

SEEDS = 2**24  # whole numbers up to here are exact in float32, in which a kernel gets them

_LOW = 0xFFFF


def bfloat16_nearest(x: Tensor) -> Tensor:
    """Return x rounded to the nearest bfloat16, ties to even, in its own dtype; float64 by way of float32."""
    # A cast there and back is what inductor drops, even around a view as whole numbers.
    return _cut(x, 0x7FFF + ((x.float().view(torch.int32) >> 16) & 1))


def bfloat16_at(x: Tensor, r: Tensor) -> Tensor:
    """Return x rounded to bfloat16, in its own dtype: away from zero where r < f, with f the 16 bits that are cut off.

    With r uniform over 0 … 65535 the mean of the result is x. Values of bfloat16 (f = 0), infinities and nan stay.

    Args:
        x: any floating tensor; a float64 one is rounded to float32 first.
        r: whole numbers (int32) in [0, 65536), of x's shape.
    """
    return _cut(x, _LOW - r)


def draws(x: Tensor, seed: Scalar, salt: Tensor | None = None) -> Tensor:
    """Return a number in [0, 65536) per element: a hash of its own bits, those of the salt, and the seed.

    There is no generator and no position in it, so it is the same whether tensors are flat, whole or cut in shards, after a
    resume and on every replica. Elements with the same bits draw the same number in that step.

    Args:
        x: any floating tensor, read as float32.
        seed: a whole number below `SEEDS`.
        salt: another tensor of x's shape, to tell equal elements apart.
    """
    own = seed.int() if isinstance(seed, Tensor) else int(seed)
    n = x.float().view(torch.int32) + own
    if salt is not None:
        n = n + salt.float().view(torch.int32) * 0x27D4EB2F
    # 32 bits that wrap around: wider words would halve what a vector instruction does. One round suffices where each step has
    # a factor of its own: over 400 steps of forgetting, the mean of a tensor strays no further than with two, which took a
    # compiled AdamW step a tenth longer. A product alone does not: like numbers are rounded alike, and the mean strays far.
    return (n ^ n >> 16) * ((own << 8) + 0xAD) >> 16 & _LOW


def seed_number(*parts: int | str) -> float:
    """Return a number below `SEEDS`, from whatever names the draw: a word, a seed, a step."""
    return float(key(*parts) % SEEDS)


def _cut(x: Tensor, carry: Tensor) -> Tensor:
    """Add the carry to the bits, and cut off the lower 16."""
    x32 = x.float()
    bits = x32.view(torch.int32)
    bits = torch.where(torch.eq(x32, x32), (bits + carry) & ~_LOW, bits)
    return bits.view(torch.float32).to(x.dtype)
