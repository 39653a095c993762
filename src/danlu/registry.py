"""Names: one table per kind of thing, and "did you mean" for every name that is in none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["Registry", "UnknownNameError", "did_you_mean", "refuse_unknown", "snake"]

T = TypeVar("T")


def snake(thing: Any) -> str:
    """Return the name of a class or function in a table: its own in snake case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", thing.__name__).lower()


class UnknownNameError(ValueError):
    """A name that is in no table; the message tells the nearest ones."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Suggest the choices nearest to `word`.

    Returns:
        ``"; did you mean 'adamw'?"``, or the whole list when nothing is near and the list is short, or nothing.
    """
    choices = sorted(choices)
    lower = word.lower()  # capitals count for nothing: 'AdamW' is nearest to 'adamw'
    alike = {x: difflib.SequenceMatcher(None, x.lower(), lower).ratio() for x in reversed(choices)}
    near = [x for x in alike if alike[x] >= 0.6]
    if near:  # among equally near ones, those that begin alike: typing goes wrong late more often than early
        near.sort(key=lambda x: (alike[x], _common_start(x.lower(), lower)), reverse=True)
        return f"; did you mean {' or '.join(map(repr, near[:3]))}?"
    return f"; there is {', '.join(choices)}" if 0 < len(choices) <= 12 else ""


def refuse_unknown(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse an option that `owner` does not have.

    Raises:
        TypeError: for the first unknown one, with the nearest names.
    """
    for name in given:
        if name not in known:
            raise TypeError(f"{owner}: no option {name!r}{did_you_mean(name, known)}")


def _common_start(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


class Registry(Generic[T]):
    """The things of one `kind` by name; a name is given once."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> None:
        """Enter `item` under `name`.

        Raises:
            RuntimeError: when the name is taken.
        """
        if name in self._items:
            raise RuntimeError(f"{self.kind} {name!r} is registered twice")
        self._items[name] = item

    def get(self, name: str) -> T:
        """Return what is called `name`.

        Raises:
            UnknownNameError: with the nearest names.
        """
        try:
            return self._items[name]
        except KeyError:
            raise UnknownNameError(f"no {self.kind} {name!r}{did_you_mean(name, self._items)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def __len__(self) -> int:
        return len(self._items)
