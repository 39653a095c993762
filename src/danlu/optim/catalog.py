"""The tables of pieces and presets: how a trick gets its name, and how a name finds its trick."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from danlu.optim.piece import Piece, snake
from danlu.ranges import check, hints
from danlu.registry import Registry, did_you_mean

if TYPE_CHECKING:
    from danlu.optim.rule import Rule

__all__ = [
    "PIECES",
    "PRESETS",
    "PieceInfo",
    "Preset",
    "find_piece",
    "find_preset",
    "info_of",
    "piece",
    "pieces",
    "preset",
    "presets",
]

P = ParamSpec("P")
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
        return _first_line(self.cls)

    def build(self, **options: Any) -> Piece:
        """Return a piece with these options.

        Raises:
            TypeError: for a misspelt option, with the right one, or a missing one.
        """
        owner = f"{self.axis}.{self.name}"
        _refuse_unknown(owner, options, hints(self.cls))
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


@dataclass(frozen=True)
class Preset(Generic[P]):
    """A named optimizer: a function from hyper-parameters to a rule, with its default lr and its source.

    Calling it checks every argument against the range in its annotation.
    """

    name: str
    build: Callable[P, Rule]
    lr: float
    source: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Rule:
        """Return the rule.

        Raises:
            TypeError: for an unknown or a doubled argument.
            ValueError: for a value out of its range.
        """
        _refuse_unknown(self.name, kwargs, self.options)
        bound = inspect.signature(self.build).bind(*args, **kwargs)
        check(self.name, self._hints, bound.arguments)
        return self.build(*args, **kwargs)

    def __reduce__(self) -> tuple[Callable[[str], Preset[...]], tuple[str]]:
        return find_preset, (self.name,)  # pickled and copied by name: the function behind it is not importable

    @property
    def summary(self) -> str:
        """The formula: the first line of the docstring."""
        return _first_line(self.build)

    @cached_property
    def options(self) -> Mapping[str, tuple[Any, Any]]:
        """Every hyper-parameter but lr: name -> (annotation with its range, default), in positional order."""
        parameters = inspect.signature(self.build).parameters
        return {name: (self._hints[name], parameter.default) for name, parameter in parameters.items()}

    @cached_property
    def _hints(self) -> Mapping[str, Any]:
        return hints(self.build)


PRESETS: Registry[Preset[...]] = Registry("optimizer")


def preset(*, lr: float, source: str) -> Callable[[Callable[P, Rule]], Preset[P]]:
    """Name a function from hyper-parameters to a rule, and enter it into the table of optimizers.

    Args:
        lr: the default learning rate.
        source: the paper or the code that the rule was taken from.

    Returns:
        The decorator; it turns the function into a `Preset`.
    """

    def add(build: Callable[P, Rule]) -> Preset[P]:
        made = Preset(build.__name__, build, lr, source)
        PRESETS.add(made.name, made)
        made.__dict__.update(__doc__=build.__doc__, __name__=build.__name__, __wrapped__=build)  # for help() and signatures
        return made

    return add


def find_preset(name: str) -> Preset[...]:
    """Return the preset `name`; an unknown name raises UnknownNameError with the nearest ones."""
    return PRESETS.get(name)


def presets() -> list[str]:
    """The names of all optimizers."""
    return list(PRESETS)


def _required(cls: type[Piece]) -> list[str]:
    return [name for name, p in inspect.signature(cls).parameters.items() if p.default is p.empty]


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]


def _refuse_unknown(owner: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise TypeError(f"{owner}: no option {name!r}{did_you_mean(name, known)}")
