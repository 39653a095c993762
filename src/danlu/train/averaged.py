"""Where a model is judged and shipped: at the optimizer's average, when it keeps one."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

__all__ = ["at_average", "has_average"]


def has_average(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the optimizer says, by its attribute ``averages``, that it keeps another point than the parameters."""
    return bool(getattr(optimizer, "averages", False))


def at_average(optimizer: torch.optim.Optimizer) -> AbstractContextManager[None]:
    """Return a block inside which the parameters are at the optimizer's average; one without an average stays where it is.

    Running statistics of BatchNorm are those of the training weights, unless the optimizer averages buffers as well
    (``buffers="average"``); or set them anew with `danlu.layers.recalibrate`. A `Trainer` does, see `Recalibrate`.
    """
    return optimizer.averaged() if has_average(optimizer) else nullcontext()  # pyrefly: ignore[missing-attribute]
