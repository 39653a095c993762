"""The tables of pieces by axis: how a trick gets its name, and how a name finds its trick."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from danlu.docstrings import first_line, unverified
from danlu.optim.piece import Piece
from danlu.ranges import hints
from danlu.registry import Registry, refuse_unknown, snake

__all__ = ["PIECES", "PieceInfo", "find_piece", "info_of", "piece", "pieces"]

PieceClass = TypeVar("PieceClass", bound=type[Piece])


@dataclass(frozen=True)
class PieceInfo:
    """What the catalogue knows of a piece; its name is its class in snake case."""

    axis: str
    name: str
    cls: type[Piece]
    source: str

    @property
    def summary(self) -> str:
        """The law: the first line of the docstring."""
        return first_line(self.cls)

    @property
    def unverified(self) -> str:
        """Why the law could not be checked against an independent source, or ""."""
        return unverified(self.cls)

    def build(self, **options: Any) -> Piece:
        """Return a piece with these options.

        Raises:
            TypeError: for a misspelt option, with the right one, or a missing one.
        """
        owner = f"{self.axis}.{self.name}"
        refuse_unknown(owner, options, hints(self.cls))
        missing = [name for name in _required(self.cls) if name not in options]
        if missing:
            raise TypeError(f"{owner}: needs {' and '.join(missing)}, as in {self.name}({missing[0]}=...)")
        return self.cls(**options)


PIECES: dict[str, Registry[PieceInfo]] = {}


def piece(*, source: str) -> Callable[[PieceClass], PieceClass]:
    """Enter a piece class into the table of its axis.

    Args:
        source: the paper or the code that the law was taken from.

    Returns:
        The decorator; it leaves the class as it is.
    """

    def add(cls: PieceClass) -> PieceClass:
        axis = cls.axis
        name = snake(cls)
        PIECES.setdefault(axis, Registry(f"{axis} piece")).add(name, PieceInfo(axis, name, cls, source))
        return cls

    return add


def find_piece(axis: str, name: str) -> PieceInfo:
    """Return the piece `name` of an axis; unknown names raise UnknownNameError with the nearest ones."""
    return _axes().get(axis).get(name)


def info_of(cls: type[Piece]) -> PieceInfo | None:
    """What the catalogue knows of a class, or None for one that is not registered."""
    table = PIECES.get(cls.axis)
    found = table.get(snake(cls)) if table is not None and snake(cls) in table else None
    return found if found is not None and found.cls is cls else None


def pieces() -> dict[str, list[str]]:
    """The names of all pieces by axis."""
    return {axis: list(PIECES[axis]) for axis in sorted(PIECES)}


def _axes() -> Registry[Registry[PieceInfo]]:
    axes: Registry[Registry[PieceInfo]] = Registry("axis")
    for axis, table in PIECES.items():
        axes.add(axis, table)
    return axes


def _required(cls: type[Piece]) -> list[str]:
    return [name for name, p in inspect.signature(cls).parameters.items() if p.default is p.empty]
