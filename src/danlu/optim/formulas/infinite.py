"""Magnitudes beyond the largest number: inf, and not nan one step later."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bounded"]


def bounded(v: Tensor) -> Tensor:
    """Return a magnitude with the largest number for inf; not-a-numbers stay.

    The square of a float32 gradient beyond 1.8e19 is inf, and an average that was fed it stays so: its coordinate moves no
    more, as in torch. What is taken from it or compared with it is taken from this: inf − inf would be nan.
    """
    return v.clamp_max(torch.finfo(v.dtype).max)
