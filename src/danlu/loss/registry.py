"""Losses by name: what there is, from which source, and which of them couple the items of a batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar, final, get_origin

from danlu.docstrings import first_line, unverified
from danlu.ranges import check, hints
from danlu.registry import Registry, refuse_unknown, snake

__all__ = ["LOSSES", "LossInfo", "create", "filled", "losses", "named"]

Thing = TypeVar("Thing", bound=Callable[..., Any])


@final
@dataclass(frozen=True)
class LossInfo:
    """What the table knows of a loss, or of a way to reduce the losses of items.

    Args:
        name: the function's, or the class's in snake case.
        thing: the function or class.
        source: the paper or the code that the law was taken from.
        kind: "classes" (of logits and targets), "reduction" (of the losses of items) or "other".
        coupled: whether what an item adds depends on the other items of its batch. The sums of micro-batches are then
            not the sum of the whole batch.
        stateful: whether it learns from one window to the next; see `Adapting`.
    """

    name: str
    thing: Callable[..., Any]
    source: str
    kind: str
    coupled: bool
    stateful: bool

    @property
    def defaults(self) -> dict[str, Any]:
        """The numbers that it takes, and what they are when they are not given."""
        ranged = [name for name, hint in hints(self.thing).items() if get_origin(hint) is Annotated]
        return {name: inspect.signature(self.thing).parameters[name].default for name in ranged}

    @property
    def summary(self) -> str:
        """The law: the first line of the docstring."""
        return first_line(self.thing)

    @property
    def unverified(self) -> str:
        """Why the law could not be checked against an independent source, or ""."""
        return unverified(self.thing)


LOSSES: Registry[LossInfo] = Registry("loss")
"""The table of losses."""


def named(*, source: str, kind: str = "other", coupled: bool = False, stateful: bool = False) -> Callable[[Thing], Thing]:
    """Enter a function or class into the table of losses.

    Args:
        source: as in `LossInfo`.
        kind: as in `LossInfo`.
        coupled: as in `LossInfo`.
        stateful: as in `LossInfo`.

    Returns:
        The decorator, which leaves what it decorates as it is.
    """

    def add(thing: Thing) -> Thing:
        name = snake(thing)
        LOSSES.add(name, LossInfo(name, thing, source, kind, coupled, stateful))
        return thing

    return add


def losses() -> list[str]:
    """Return the names in the table, sorted."""
    return list(LOSSES)


def create(entry: str | Mapping[str, Any]) -> Callable[..., Any]:
    """Make what a recipe names.

    Args:
        entry: ``"focal"``, or a table ``{"name": "focal", "gamma": 1.0}``.

    Returns:
        The loss with these numbers bound, ``loss(logits, target)`` if it is one of classes; of a reduction, an instance.

    Raises:
        UnknownNameError: for a name that is in no table.
        TypeError: for an option that it does not have, with the nearest names, or a table without a name.
        ValueError: for a number out of its range.
    """
    options = {} if isinstance(entry, str) else dict(entry)
    name = entry if isinstance(entry, str) else options.pop("name", None)
    if not isinstance(name, str):
        raise TypeError(f"a loss is a name or a table with a name, got {entry!r}")
    info = LOSSES.get(name)
    refuse_unknown(name, options, info.defaults)
    check(name, hints(info.thing), options)
    return info.thing(**options) if isinstance(info.thing, type) else partial(info.thing, **options)


def filled(entry: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of what `create` takes with every number in it, for records that later defaults must not change.

    Args:
        entry: as for `create`, with a name that is in the table.

    Returns:
        The name and the numbers.
    """
    options = {"name": entry} if isinstance(entry, str) else dict(entry)
    return {"name": options["name"], **LOSSES.get(options["name"]).defaults, **options}
