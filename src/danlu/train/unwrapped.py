"""A model without what torch has put around it, for the names of its parameters."""

from __future__ import annotations

from torch import nn

__all__ = ["uncompiled", "unwrapped"]


def uncompiled(model: nn.Module) -> nn.Module:
    """Return what `torch.compile` went around; another model as it is."""
    return getattr(model, "_orig_mod", model)  # its class is not public, and importing its module takes a second


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside `torch.compile` and `DistributedDataParallel`, in whatever order.

    It has the same parameters under the names that they have without: ``weight``, not ``module._orig_mod.weight``. So a
    checkpoint can be read with or without either. A part that is compiled by itself keeps ``_orig_mod`` in its name.
    """
    inner = uncompiled(model)
    while isinstance(inner, nn.parallel.DistributedDataParallel):
        inner = uncompiled(inner.module)
    return inner
