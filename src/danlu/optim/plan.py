"""Where a group's rule comes from, and the rule it follows now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

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

    def build(self, options: Mapping[str, Any]) -> Rule:
        """Return the rule for these values."""
        ...


class Fixed:
    """A rule given as it is: no group key changes it."""

    name = "Optimizer"

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.options: dict[str, Any] = {}

    def build(self, options: Mapping[str, Any]) -> Rule:
        """Return the rule."""
        return self.rule


class Plan:
    """The rule of one group for the option values it was built from, how it runs, and what is known to be in order.

    Attributes:
        lanes: how its tensors step; a plan for other numbers of the same computation takes them over.
        lr: the last learning rate that was in its range.
    """

    def __init__(self, rule: Rule, values: tuple[Any, ...], runner: Runner) -> None:
        self.rule = rule
        self.values = values
        self.lanes = Lanes(runner)
        self.lr: float | Tensor | None = None
