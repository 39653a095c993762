"""Things of one kind put together up to a size."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

__all__ = ["parties"]

T = TypeVar("T")


def parties(
    items: Iterable[T], kind: Callable[[T], Hashable], size: Callable[[T], int], limit: Callable[[T], int]
) -> Iterator[list[T]]:
    """Split items into parties of one kind, in their order.

    Args:
        items: what is split.
        kind: the same for items that may go together.
        size: of an item.
        limit: of the party of an item; a larger item is a party of its own.

    Yields:
        Every item in one party, of one or more.
    """
    begun: dict[Hashable, list[T]] = {}
    sizes: dict[Hashable, int] = {}
    for item in items:
        key, own = kind(item), size(item)
        if key in begun and sizes[key] + own > limit(item):
            yield begun.pop(key)
            sizes[key] = 0
        begun.setdefault(key, []).append(item)
        sizes[key] = sizes.get(key, 0) + own
    yield from begun.values()
