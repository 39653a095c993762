"""Two bfloat16 slots in one plane of 32-bit words: separate planes cost a CPU three times the float32 step, words none.

Only the layout in memory is special. What the state holds, and every eager law writes to, are two views with a stride of two;
a kernel takes the words, cuts them with shifts, and joins them again. Snapshots hold plain tensors.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from danlu.optim.formulas.rounding import bfloat16_nearest
from danlu.optim.rule import Rule

__all__ = ["Place", "closed", "joined", "opened", "paired", "word_of"]

Place = tuple[str, ...]  # the state keys that one plane of a kernel holds: one, or the low and the high half of its words

_HIGH = -65536


def paired(state: Mapping[str, Any], p: Tensor, rule: Rule) -> dict[str, Any]:
    """Return the state with the slots that may share words laid out so, two by two; on a CPU, for a dense parameter.

    Args:
        state: what a parameter keeps, its slots in any layout.
        p: the parameter.
        rule: the rule, whose codecs say which slots may share words.
    """
    if p.device.type != "cpu" or not torch.ops.aten.is_non_overlapping_and_dense.default(p):
        return dict(state)
    laid = dict(state)
    for low, high in _pairs(state, rule):
        if word_of(state[low], state[high]) is None and state[low].shape == p.shape:
            laid.update(zip((low, high), _halves(p), strict=True))
            for key in (low, high):
                laid[key].copy_(state[key])
    return laid


def _halves(p: Tensor) -> tuple[Tensor, Tensor]:
    """Two bfloat16 tensors in p's layout, element by element in the two halves of one word (the low half comes first)."""
    both = torch.empty(p.numel(), dtype=torch.int32, device=p.device).view(torch.bfloat16)
    strides = [2 * stride for stride in p.stride()]
    return both.as_strided(p.shape, strides, 0), both.as_strided(p.shape, strides, 1)


def word_of(low: Tensor, high: Tensor) -> Tensor | None:
    """Return the words of two halves, in the layout of the parameter, or None when the two do not share words."""
    shared = low.untyped_storage().data_ptr() == high.untyped_storage().data_ptr() and low.stride() == high.stride()
    first = low.storage_offset()
    halves = low.dtype == high.dtype == torch.bfloat16 and low.shape == high.shape and low.numel() > 0
    if not shared or not halves or first % 2 or high.storage_offset() != first + 1 or any(s % 2 for s in low.stride()):
        return None
    words = torch.empty(0, dtype=torch.int32, device=low.device)
    return words.set_(low.untyped_storage(), first // 2, low.shape, [s // 2 for s in low.stride()])


def joined(slots: Mapping[str, Tensor], rule: Rule) -> tuple[list[Place], list[Tensor]]:
    """Return the state keys of each plane that a kernel takes, and the planes: words where two slots share them."""
    shared = [(low, high, word_of(slots[low], slots[high])) for low, high in _pairs(slots, rule)]
    words: dict[Place, Tensor] = {(low, high): word for low, high, word in shared if word is not None}
    inside = {key for place in words for key in place}
    planes = {(key,): x for key, x in slots.items() if key not in inside} | words
    return list(planes), list(planes.values())


def _pairs(slots: Mapping[str, Any], rule: Rule) -> Iterator[tuple[str, str]]:
    """The slots that may share words, two by two in the rule's order; none beside codecs with rows, or where no kernel is."""
    flat = rule.scope != "matrix" and not any(codec.row for codec in rule.codecs.values())
    narrow = {slot for slot, x in slots.items() if isinstance(x, Tensor) and x.dtype == torch.bfloat16}
    keys = [slot for slot, codec in rule.codecs.items() if flat and codec.paired and slot in narrow]
    return zip(keys[::2], keys[1::2], strict=False)


def opened(places: Sequence[Place], planes: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return every slot that the planes of a kernel hold; the halves of words as the float32 numbers that they are."""
    slots: dict[str, Tensor] = {}
    for keys, plane in zip(places, planes, strict=True):
        if len(keys) == 1:
            slots[keys[0]] = plane
        else:
            slots[keys[0]] = (plane << 16).view(torch.float32)
            slots[keys[1]] = (plane & _HIGH).view(torch.float32)
    return slots


def closed(keys: Place, slots: Mapping[str, Tensor], rounded: Container[str] = ()) -> Tensor:
    """Return what the plane of these keys is to hold.

    A kernel has dropped the codecs' casts to bfloat16 and back, so numbers are rounded here, on the bits; but for those of the
    `rounded` slots, whose codec has done so.
    """
    if len(keys) == 1:
        return slots[keys[0]]
    numbers = [slots[key].float() for key in keys]
    whole = [x if key in rounded else bfloat16_nearest(x) for key, x in zip(keys, numbers, strict=True)]
    low, high = (x.view(torch.int32) for x in whole)
    return low >> 16 & 0xFFFF | high & _HIGH
