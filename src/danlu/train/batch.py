"""Moving a batch to the model, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["device_of", "to_device"]


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the model's first parameter; the CPU if it has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def to_device(batch: Any, device: torch.device) -> Any:
    """Return the batch with every tensor in it on `device`; one that is there already is not copied.

    Args:
        batch: a tensor, or something else with a method ``to(device)`` (a packed sequence, a tokenizer's encoding), or
            tuples, named tuples, lists and dictionaries of batches. Anything else is passed on as it is.
        device: where to.

    Returns:
        The same structure.
    """
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=device.type == "cuda")  # towards the CPU nobody would wait for the copy
    if callable(getattr(batch, "to", None)):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(value, device) for value in batch)
    return batch
