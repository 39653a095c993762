"""The largest micro-batch that fits into memory, found by trying."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from danlu.ranges import Positive
from danlu.train.borrowed import borrowed
from danlu.train.update import Update

__all__ = ["find_micro_batch", "is_about_memory"]


def find_micro_batch(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], Any],
    optimizer: torch.optim.Optimizer,
    batch: Any,
    *,
    clip: Positive | None = None,
) -> int:
    """Return the most items of a batch that one forward, backward and step can take; then undo what the trials did.

    Sizes 1, 2, 4, … are tried with whole updates, the optimizer's state included, until memory runs out; then the
    border is bisected. It is a question of memory only: a batch that is cut into micro-batches gives the same update,
    so neither the batch nor the schedule changes. Another allocation pattern (longer sequences, another model beside
    this one) can still run out: take a little less. Weights, buffers, optimizer and random states are afterwards those
    before, bit for bit; their copies are on the CPU.

    Args:
        model: on its device.
        loss: as in `Trainer`.
        optimizer: of the model.
        batch: a large one, of the longest items: tensors with one first dimension in tuples, lists or mappings.
        clip: as in `Trainer`.

    Returns:
        The number, at most that of the batch.

    Raises:
        MemoryError: when not even one item fits.
        TypeError: when the batch has no tensor to take items of.
    """
    most = _rows(batch)
    good, bad = 0, most + 1
    size = 1
    while good + 1 < bad:
        if _fits(model, loss, optimizer, _first(batch, size), clip):
            good = size
        else:
            bad = size
        size = min(2 * good, most) if bad > most else (good + bad) // 2
    if not good:
        raise MemoryError("find_micro_batch: not even one item fits; shorten the items, or take a smaller model or state")
    return good


def _fits(model: nn.Module, loss: Any, optimizer: torch.optim.Optimizer, batch: Any, clip: float | None) -> bool:
    with borrowed(model, optimizer):
        try:
            Update(model, loss, optimizer, clip=clip, nonfinite="skip")([batch])
        except (MemoryError, RuntimeError) as error:
            if not is_about_memory(error):
                raise
        else:
            return True
    if torch.cuda.is_initialized():  # out of the except block: its traceback holds the activations
        torch.cuda.empty_cache()
    return False


def is_about_memory(error: Exception) -> bool:
    """Whether an error says that memory has run out; the CPU's allocator has no exception type of its own."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def _rows(batch: Any) -> int:
    """The items of a batch, the first dimension of its first tensor."""
    if isinstance(batch, torch.Tensor) and batch.ndim:
        return len(batch)
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, (tuple, list)) else ()
    for part in parts:
        if isinstance(part, (torch.Tensor, Mapping, tuple, list)):
            return _rows(part)
    raise TypeError(f"find_micro_batch: no tensor with items in the batch, which is a {type(batch).__name__}")


def _first(batch: Any, size: int) -> Any:
    if isinstance(batch, torch.Tensor):
        return batch[:size]
    if isinstance(batch, Mapping):
        return {key: _first(value, size) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_first(value, size) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(_first(value, size) for value in batch)
    return batch
