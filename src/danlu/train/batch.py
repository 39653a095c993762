"""Batches, whatever they are made of: moving one to the model, cutting one into smaller ones."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

from danlu.ranges import Count, check, hints
from danlu.train.walk import modules

__all__ = ["device_of", "split_batch", "to_device"]


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the model's first parameter; the CPU if it has none."""
    for module in modules(model):
        for p in module._parameters.values():
            if p is not None:
                return p.device
    return torch.device("cpu")


def to_device(batch: Any, device: torch.device) -> Any:
    """Return the batch with every tensor in it on `device`; one that is there already is not copied.

    Args:
        batch: a tensor, or something else with a method ``to(device)`` (a packed sequence, a tokenizer's encoding), or
            tuples, named tuples, lists, dataclasses and dictionaries of batches. Anything else is passed on as it is.
        device: where to.

    Returns:
        The same structure.
    """
    if isinstance(batch, Tensor):
        if batch.device == device:
            return batch
        return batch.to(device, non_blocking=device.type == "cuda")  # towards the CPU nobody would wait for the copy
    if callable(getattr(batch, "to", None)):
        return batch.to(device)
    return _rebuilt(batch, lambda child: to_device(child, device))


def split_batch(batch: Any, size: Count) -> list[Any]:
    """Cut a batch along the first dimension of its tensors into batches of at most `size` items, in order.

    Tensors are cut without a copy, and so are lists that hold no tensors and have an entry per item. Numbers, words,
    None and 0-d tensors are in every piece.

    Args:
        batch: tensors, in any nesting of tuples, named tuples, lists, dataclasses and mappings.
        size: items per piece; the last one may have fewer.

    Returns:
        The pieces, each built like the batch; the batch itself when it is not larger.

    Raises:
        ValueError: when the tensors differ in their first dimension, or there is none, so that the number of items is
            not known.
    """
    check("split_batch", hints(split_batch), {"size": size})
    lengths = {len(t) for t in _tensors(batch) if t.ndim}
    if len(lengths) != 1:
        found = f"tensors of {' and '.join(map(str, sorted(lengths)))} items" if lengths else "no tensor with a first dimension"
        raise ValueError(f"micro_batch: a batch has {found}; pass split=, a function (batch, size) that returns the pieces")
    n = lengths.pop()
    return [batch] if n <= size else [_piece(batch, n, slice(i, i + size)) for i in range(0, n, size)]


def _piece(batch: Any, n: int, where: slice) -> Any:
    if isinstance(batch, Tensor):
        return batch[where] if batch.ndim else batch
    if isinstance(batch, list) and len(batch) == n and next(_tensors(batch), None) is None:
        return batch[where]
    return _rebuilt(batch, lambda child: _piece(child, n, where))


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    for child in _children(batch):
        yield from _tensors(child)


def _children(batch: Any) -> list[Any]:
    children: list[Any] = []
    _rebuilt(batch, lambda child: children.append(child) or child)
    return children


def _rebuilt(batch: Any, change: Callable[[Any], Any]) -> Any:
    """A container of the same kind with every child changed; what is no container comes back as it is."""
    if isinstance(batch, Mapping):
        changed = {key: change(value) for key, value in batch.items()}
        if isinstance(batch, MutableMapping) and type(batch) is not dict:  # one with methods of its own keeps them
            new = copy.copy(batch)
            new.update(changed)
            return new
        return changed
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(change, batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(map(change, batch))
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        return dataclasses.replace(
            batch, **{f.name: change(getattr(batch, f.name)) for f in dataclasses.fields(batch) if f.init}
        )
    return batch
