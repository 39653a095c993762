"""The number format that the model computes in; weights, sums and optimizer state keep theirs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, TypeAlias

import torch

__all__ = ["Precision", "autocast"]

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
"""fp32: as the weights are. bf16, fp16: matrix products in 16 bits by `torch.autocast`; only fp16 needs a `LossScaler`."""

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the block in which a forward pass runs; backward belongs outside it."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, _DTYPES[precision])
