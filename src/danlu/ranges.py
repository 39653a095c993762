"""Ranges of hyper-parameters, declared once, in the annotation ``weight_decay: NonNegative = 0.0``.

Validation, error text, command-line options, search spaces and the docs all read that one declaration.
"""

from __future__ import annotations

import inspect
import math
import numbers
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

__all__ = [
    "AnyNumber",
    "Beta",
    "Count",
    "Fraction",
    "Interval",
    "NonNegative",
    "Positive",
    "Ratio",
    "Steps",
    "Structural",
    "check",
    "hints",
    "problems",
]


@dataclass(frozen=True, slots=True)
class Interval:
    """The interval from `lo` to `hi`; `closed` names the ends that belong to it. nan is in no interval."""

    lo: float
    hi: float
    closed: Literal["both", "left", "right", "neither"] = "both"

    def __contains__(self, x: float) -> bool:
        above = x >= self.lo if self.closed in {"both", "left"} else x > self.lo
        below = x <= self.hi if self.closed in {"both", "right"} else x < self.hi
        return above and below

    def __str__(self) -> str:
        left = "[" if self.closed in {"both", "left"} else "("
        right = "]" if self.closed in {"both", "right"} else ")"
        return f"{left}{self.lo:g}, {self.hi:g}{right}"


@dataclass(frozen=True, slots=True)
class Structural:
    """Marks a number that shapes the computation (a norm's order, a block size) instead of entering it as a scalar."""


Beta = Annotated[float, Interval(0.0, 1.0, "left")]
Fraction = Annotated[float, Interval(0.0, 1.0)]
Ratio = Annotated[float, Interval(0.0, 1.0, "right")]
Positive = Annotated[float, Interval(0.0, math.inf, "neither")]
NonNegative = Annotated[float, Interval(0.0, math.inf, "left")]
AnyNumber = Annotated[float, Interval(-math.inf, math.inf, "neither")]
Count = Annotated[int, Interval(1, math.inf, "left")]
Steps = Annotated[int, Interval(0, math.inf, "left")]


def hints(owner: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function's or dataclass's parameters, in order, ranges included."""
    found = typing.get_type_hints(owner if isinstance(owner, type) else inspect.unwrap(owner), include_extras=True)
    return {name: found[name] for name in inspect.signature(owner).parameters if name in found}


def check(owner: str, annotations: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Check every value against the range in its annotation.

    Raises:
        ValueError: with one line per value that is out of its range; each names owner, parameter, range and value.
    """
    found = list(problems(owner, annotations, values))
    if found:
        raise ValueError("\n".join(found))


def problems(owner: str, annotations: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each value that breaks its annotation.

    Yields:
        Lines such as ``adamw: betas[1] must be in [0, 1), got 1.0``.
    """
    for name, value in values.items():
        if name in annotations:
            for where, rule in _broken(annotations[name], value, name):
                yield f"{owner}: {where} must be {rule}, got {value if where == name else _item(value, where)!r}"


def _item(value: Any, where: str) -> Any:
    return value[int(where.rsplit("[", 1)[1][:-1])]


def _broken(hint: Any, value: Any, where: str) -> Iterator[tuple[str, str]]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        for bound in hint.__metadata__:
            if isinstance(bound, Interval) and not (_is_number(value) and float(value) in bound):
                yield where, f"in {bound}" if _is_number(value) else f"a number in {bound}"
            elif isinstance(bound, Interval) and hint.__origin__ is int and not float(value).is_integer():
                yield where, f"a whole number in {bound}"
    elif origin is tuple and (Ellipsis not in args or typing.get_origin(args[0]) is Annotated):
        any_length = Ellipsis in args
        if not isinstance(value, (tuple, list)) or (len(value) != len(args) and not any_length):
            yield where, "a list of numbers" if any_length else f"{len(args)} numbers"
            return
        for i, (part, x) in enumerate(zip(args[:1] * len(value) if any_length else args, value, strict=True)):
            yield from _broken(part, x, f"{where}[{i}]")
    elif origin in {typing.Union, types.UnionType}:
        broken = [list(_broken(part, value, where)) or _foreign(part, value, where) for part in args]
        if all(broken):
            yield where, " or ".join(dict.fromkeys(rule for part in broken for _, rule in part))
    elif (wanted := _plain(hint, origin, args, value)) is not None:
        yield where, wanted


def _foreign(hint: Any, value: Any, where: str) -> list[tuple[str, str]]:
    """In a union, a value that is not an instance of a class belongs to another part; numbers and text are checked by range."""
    if not isinstance(hint, type) or hint in {int, float, str, bool, type(None)} or isinstance(value, hint):
        return []
    return [(where, f"a {hint.__name__.removeprefix('Abstract')}")]


def _plain(hint: Any, origin: Any, args: tuple[Any, ...], value: Any) -> str | None:
    """What a value of a plain type should have been, or None when it is right or the type is not checked here."""
    if origin is Literal and value not in args:
        return "one of " + ", ".join(map(str, args))
    if hint is bool and not isinstance(value, bool):
        return "True or False"
    if hint is type(None) and value is not None:
        return "None"
    if hint is int and (isinstance(value, bool) or not isinstance(value, int)):
        return "a whole number"
    return None


def _is_number(value: Any) -> bool:
    """Whether `value` is one real number; a tensor of one element counts, True and '0.1' do not."""
    if isinstance(value, bool):
        return False
    return isinstance(value, numbers.Real) or (getattr(value, "ndim", None) == 0 and hasattr(value, "item"))
