"""Nested state as JSON and tensors: nothing that is read back can be code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["packed", "unpacked"]

_TENSOR, _COMPLEX, _TUPLE, _PAIRS = "$tensor", "$complex", "$tuple", "$pairs"


def packed(state: Any) -> tuple[Any, dict[str, Tensor]]:
    """Take the tensors out of a nest of dictionaries, lists, tuples, tensors, numbers, text and None.

    Every float comes back as it was, nan and inf too: JSON has its shortest exact decimals. Tensors are copied only
    where they are not contiguous or a part of something larger.

    Args:
        state: the nest.

    Returns:
        What `json.dumps` takes, with the name of a tensor in each one's place; and the tensors by name, such as
        ``"optimizer.state.0.weight.exp_avg"``.

    Raises:
        TypeError: for anything else in it; the message says where it is.
    """
    tensors: dict[str, Tensor] = {}
    return _packed(state, (), tensors), tensors


def _packed(value: Any, path: tuple[str, ...], tensors: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Tensor):
        return _stored(value, ".".join(path) or "tensor", tensors)
    if isinstance(value, Mapping):
        plain = all(isinstance(key, str) and not key.startswith("$") for key in value)
        items = [(key, _packed(x, (*path, str(key)), tensors)) for key, x in value.items()]
        return dict(items) if plain else {_PAIRS: [[_packed(key, path, tensors), x] for key, x in items]}
    if isinstance(value, (list, tuple)):
        items = [_packed(x, (*path, str(i)), tensors) for i, x in enumerate(value)]
        return {_TUPLE: items} if isinstance(value, tuple) else items
    where = ".".join(path) or "the state"
    raise TypeError(
        f"checkpoint: {where} is a {type(value).__name__}; it must be tensors, numbers, text, lists or dictionaries"
    )


def _stored(tensor: Tensor, wanted: str, tensors: dict[str, Tensor]) -> dict[str, str]:
    name, n = wanted, 1
    while name in tensors:  # "a" in "b.c" and "a.b" in "c" would meet
        n += 1
        name = f"{wanted}#{n}"
    plain = tensor.detach()
    plain = torch.view_as_real(plain.resolve_conj()) if plain.is_complex() else plain
    whole = plain.is_contiguous() and plain.untyped_storage().nbytes() == plain.nbytes  # alone in its memory, or its only view
    tensors[name] = plain if whole else plain.clone(memory_format=torch.contiguous_format)
    return {_COMPLEX if tensor.is_complex() else _TENSOR: name}


def unpacked(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo `packed`.

    Args:
        tree: from JSON.
        tensors: by name.

    Returns:
        The nest; its tensors are those given.

    Raises:
        KeyError: when a tensor is missing.
    """
    if isinstance(tree, list):
        return [unpacked(x, tensors) for x in tree]
    if not isinstance(tree, dict):
        return tree
    if len(tree) == 1:
        ((key, value),) = tree.items()
        if key == _TENSOR:
            return tensors[value]
        if key == _COMPLEX:
            return torch.view_as_complex(tensors[value])
        if key == _TUPLE:
            return tuple(unpacked(x, tensors) for x in value)
        if key == _PAIRS:
            return {unpacked(k, tensors): unpacked(x, tensors) for k, x in value}
    return {key: unpacked(x, tensors) for key, x in tree.items()}
