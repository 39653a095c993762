"""Where a group's rule comes from, and the rule it follows now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import is_
from typing import Any, Literal, Protocol

from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.run.course import Lanes
from danlu.optim.run.runner import Runner

__all__ = ["Builder", "Fixed", "Plan"]


class Builder(Protocol):
    """What makes a rule from a group's options; `Named` makes it from a preset."""

    @property
    def name(self) -> str:
        """The name that messages use."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """The group keys that the rule is made from, with their first values."""
        ...

    @property
    def routes(self) -> Mapping[str, Mapping[str, Any]]:
        """The options that parameters of a role are given, where roles are known."""
        ...

    @property
    def buffers(self) -> Literal["copy", "average"]:
        """What becomes of a module's buffers at the average, when nothing is said."""
        ...

    def build(self, options: Mapping[str, Any]) -> Rule:
        """Return the rule for these values."""
        ...


class Fixed:
    """A rule given as it is: no group key changes it."""

    name = "Optimizer"

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.options: dict[str, Any] = {}
        self.routes: dict[str, Mapping[str, Any]] = {}
        self.buffers: Literal["copy", "average"] = "copy"

    def build(self, options: Mapping[str, Any]) -> Rule:
        """Return the rule."""
        return self.rule


class Plan:
    """The rule of one group for the option values it was built from, how it runs, and what is known to be in order.

    Args:
        builder: where the rule comes from.
        rule: the rule.
        given: the objects that the group held under the options.
        values: the same as plain values.
        runner: how the rule runs.

    Attributes:
        lanes: how its tensors step; a plan for other numbers of the same computation takes them over.
        lr: the last learning rate that was in its range.
    """

    def __init__(self, builder: Builder, rule: Rule, given: Sequence[Any], values: Sequence[Any], runner: Runner) -> None:
        self.builder = builder
        self.rule = rule
        self.values = values
        self.lanes = Lanes(runner)
        self.lr: float | Tensor | None = None
        self._given = given if all(map(_immutable, given)) else None

    def sees(self, given: Sequence[Any]) -> bool:
        """Whether these are the very objects that the rule was built from, none of which can have been written in place."""
        return self._given is not None and all(map(is_, self._given, given))


def _immutable(x: Any) -> bool:
    return x is None or isinstance(x, (float, int, str)) or (isinstance(x, tuple) and all(map(_immutable, x)))
