"""The raw tier: the C++ entry of a captured kernel, called without inductor's wrapper around it.

The wrapper unpacks a list, reads sizes and calls one C++ function; for a small tensor that costs more than the step. Which of
its arguments is which is learnt by recording one call, and the direct call is compared with the wrapped one, bit for bit, at
several lengths. Whatever surprises (two functions, an argument of unknown origin, other bits) leaves the wrapped call in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["LENGTHS", "Entry", "entry_of"]

LENGTHS = (1, 2, 15, 16, 17, 1000, 40_000)  # around a vector's 16 lanes, with a rest, and long enough for threads
_PREFIX = "cpp_fused"  # what inductor calls a C++ function

Inputs = Sequence[Tensor | int]


class Entry(NamedTuple):
    """A C++ function and the origin of its arguments.

    Args:
        call: the function; it takes tensors of any shape by the address of their first element, and lengths.
        origins: for each argument its place among the inputs of the captured callable, followed by its outputs.
    """

    call: Callable[..., None]
    origins: tuple[int, ...]


def entry_of(compiled: Callable[[list[Any]], Any], inputs: Callable[[int], Inputs]) -> Entry | None:
    """Return the one C++ entry behind a captured callable, or None to go on calling that.

    Args:
        compiled: the ``call`` of a module that inductor generated; it empties the list of inputs that it gets.
        inputs: fresh random inputs for a length, all in memory of their own, whose integers differ from each other.
    """
    scope: dict[str, Any] = getattr(getattr(compiled, "__func__", compiled), "__globals__", {})
    names = [name for name in scope if name.startswith(_PREFIX) and callable(scope[name])]
    if len(names) != 1:
        return None
    try:
        entry = _learnt(compiled, scope, names[0], inputs(max(LENGTHS)))
        return entry if entry is not None and all(_agrees(entry, compiled, inputs(n)) for n in LENGTHS) else None
    except (RuntimeError, TypeError, ValueError):  # a signature or an outcome that is not the expected one
        return None


def _learnt(compiled: Callable[[list[Any]], Any], scope: dict[str, Any], name: str, inputs: Inputs) -> Entry | None:
    """Record the call of the entry `name` and find its arguments among the inputs and outputs."""
    original, seen = scope[name], list[tuple[Any, ...]]()

    def recorder(*args: Any) -> None:
        seen.append(args)
        original(*args)

    scope[name] = recorder
    try:
        outputs = compiled([*inputs])
    finally:
        scope[name] = original
    if len(seen) != 1:
        return None
    places = {_mark(x): i for i, x in enumerate((*inputs, *outputs))}
    origins = [places.get(_mark(x)) for x in seen[0]]
    return None if None in origins else Entry(original, tuple(i for i in origins if i is not None))


def _mark(x: Tensor | int) -> Any:
    """What two mentions of one argument have in common: a length its value, a tensor its memory."""
    return (x.data_ptr(), x.dtype, x.numel()) if isinstance(x, Tensor) else x


def _agrees(entry: Entry, compiled: Callable[[list[Any]], Any], inputs: Inputs) -> bool:
    """Whether the direct call leaves the same bits everywhere as the captured one."""
    ours, theirs = _copies(inputs), _copies(inputs)
    outputs = compiled([*theirs])
    given = [*ours, *(torch.zeros_like(x) for x in outputs)]
    entry.call(*(given[i] for i in entry.origins))
    pairs = zip(given, (*theirs, *outputs), strict=True)
    return all(_bits(a, b) for a, b in pairs)


def _copies(inputs: Inputs) -> list[Tensor | int]:
    return [x.clone() if isinstance(x, Tensor) else x for x in inputs]


def _bits(a: Tensor | int, b: Tensor | int) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):  # as bytes: nan equals itself, and 0 is not −0
        return torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))
    return a is b
