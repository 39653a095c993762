"""Losses by name: what there is, from which source, and which of them couple the items of a batch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, final

from danlu.docstrings import first_line, unverified
from danlu.registry import Registry

__all__ = ["LOSSES", "LossInfo", "losses", "named"]

Thing = TypeVar("Thing", bound=Callable[..., Any])


@final
@dataclass(frozen=True)
class LossInfo:
    """What the table knows of a loss, or of a way to reduce the losses of items.

    Args:
        name: the function's, or the class's in snake case.
        thing: the function or class.
        source: the paper or the code that the law was taken from.
        coupled: whether what an item adds depends on the other items of its batch. The sums of micro-batches are then
            not the sum of the whole batch.
        stateful: whether it learns from one window to the next; see `Adapting`.
    """

    name: str
    thing: Callable[..., Any]
    source: str
    coupled: bool
    stateful: bool

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


def named(*, source: str, coupled: bool = False, stateful: bool = False) -> Callable[[Thing], Thing]:
    """Enter a function or class into the table of losses.

    Args:
        source: as in `LossInfo`.
        coupled: as in `LossInfo`.
        stateful: as in `LossInfo`.

    Returns:
        The decorator, which leaves what it decorates as it is.
    """

    def add(thing: Thing) -> Thing:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", thing.__name__).lower()
        LOSSES.add(name, LossInfo(name, thing, source, coupled, stateful))
        return thing

    return add


def losses() -> list[str]:
    """Return the names in the table, sorted."""
    return list(LOSSES)
