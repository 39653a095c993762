"""Operations that kernels on a CPU spell out in arithmetic, because the library behind them takes several times as long."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["SPELLED_OUT"]

# atan(q)/q on [0, 1] as a polynomial in q², fitted for the least relative error: 1.5e-8, and 1.4e-7 with float32's roundings.
_ATAN = (
    0.9999999847668395,
    -0.3333307334970201,
    0.1999261945002846,
    -0.14203644790812026,
    0.10640934963540478,
    -0.07504296041894996,
    0.04269153252789632,
    -0.0160686348579133,
    0.0028498906131437986,
)
_SIGN = -(1 << 31)  # the highest bit of an int32, and of a float32


def _atan2(y: Tensor, x: Tensor) -> Tensor:
    """The angle of (x, y) for float32 on a CPU. Two infinities make nan, where the library has π/4."""
    if y.device.type != "cpu" or y.dtype != torch.float32 or x.dtype != torch.float32:
        return NotImplemented
    ys, xs = y.abs(), x.abs()
    # The smallest normal number changes nothing that is not as small, and makes 0/0 a 0.
    q = torch.minimum(ys, xs) / (torch.maximum(ys, xs) + torch.finfo(torch.float32).tiny)
    z = q.square()
    series = torch.full_like(z, _ATAN[-1])
    for coefficient in reversed(_ATAN[:-1]):
        series = series * z + coefficient
    angle = _folded(series * q, ys > xs, 0.5 * math.pi)
    angle = _folded(angle, x < 0, math.pi)
    return (angle.view(torch.int32) | (y.view(torch.int32) & _SIGN)).view(torch.float32)  # copysign would be a call, too


def _folded(angle: Tensor, where: Tensor, full: float) -> Tensor:
    """`full` − angle at some places. Read once, since what inductor traces it traces anew at each use, and that multiplies."""
    return torch.where(where, full, 0.0) + torch.where(where, -1.0, 1.0) * angle


SPELLED_OUT: Mapping[Any, Callable[..., Any]] = {torch.ops.aten.atan2.default: _atan2}
