"""What an optimizer builds its rule from: a fixed rule, or a preset whose arguments live in the param groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from danlu.optim.roster import Preset
from danlu.optim.rule import Rule

__all__ = ["Named"]


@dataclass(frozen=True)
class Named:
    """A preset with its arguments, and pieces that replace some of its own.

    torch users and schedules write ``group["weight_decay"]``; the arguments are therefore plain group keys, and `build` makes
    the rule again when one of them changed.

    Args:
        preset: the preset.
        chosen: the arguments that were given.
        slots: pieces in place of the preset's own, as in ``Rule.but``.
    """

    preset: Preset[...]
    chosen: Mapping[str, Any] = field(default_factory=dict)
    slots: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The preset's name."""
        return self.preset.name

    @property
    def routes(self) -> Mapping[str, Mapping[str, Any]]:
        """The preset's arguments by role; those that were given hold for every role."""
        own = self.preset.routes.items()
        return {role: {key: x for key, x in settings.items() if key not in self.chosen} for role, settings in own}

    @property
    def buffers(self) -> Literal["copy", "average"]:
        """The preset's choice; a mean that moves the parameters leaves buffers alone."""
        other = self.slots.get("average")
        return "copy" if other is not None and other.moves else self.preset.buffers

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """The group keys with their first values."""
        self.preset(**self.chosen)  # refuses what is unknown or out of range
        return {**{name: default for name, (_, default) in self.preset.options.items()}, **self.chosen}

    def build(self, options: Mapping[str, Any]) -> Rule:
        """Return the rule for these values."""
        return self.preset(**options).but(**self.slots)
