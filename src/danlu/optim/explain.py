"""What an optimizer is, in words: formula, composition, memory, arguments, source; all read from the definitions."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import torch

from danlu.optim.catalog import Preset, find_preset
from danlu.optim.rule import Rule
from danlu.ranges import Interval

__all__ = ["bytes_per_parameter", "explain"]


def explain(name: str) -> str:
    """Describe the preset `name`.

    Args:
        name: a preset.

    Returns:
        Several lines of text: law, notes, composition, state in bytes per parameter, arguments with range and default, source.

    Raises:
        UnknownNameError: for an unknown name, with the nearest ones.
    """
    preset = find_preset(name)
    rule = preset()
    doc = inspect.getdoc(preset.build) or ""
    slots = ", ".join((*rule.slots, *rule.memory)) or "none"
    sections = [
        f"{name}: {doc}",
        "composition (in the order of acting)\n" + _indented(str(rule)),
        f"state\n    {bytes_per_parameter(rule):g} bytes per float32 parameter: {slots}",
        "arguments\n" + _indented("\n".join(_arguments(preset))),
        f"source\n    {preset.source}",
    ]
    return "\n\n".join(sections)


def bytes_per_parameter(rule: Rule) -> float:
    """The bytes of state that a rule keeps for one float32 parameter of a large matrix."""
    like = torch.empty(1024, 1024, device="meta")
    return sum(t.numel() * t.element_size() for t in rule.init(like, torch.float32).values()) / like.numel()


def _arguments(preset: Preset[...]) -> list[str]:
    rows = [("lr", "[0, inf)", preset.lr), *((n, _range(h), d) for n, (h, d) in preset.options.items())]
    wide = max(len(name) for name, _, _ in rows)
    return [f"{name:<{wide}} = {default!s:<14} {allowed}" for name, allowed, default in rows]


def _range(hint: Any) -> str:
    for bound in getattr(hint, "__metadata__", ()):
        if isinstance(bound, Interval):
            return f"in {bound}"
    if hint is bool:
        return "True or False"
    return ", ".join(_range(part) for part in get_args(hint))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
