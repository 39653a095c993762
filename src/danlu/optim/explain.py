"""What an optimizer is, in words: formula, composition, memory, refusals, arguments, source; all read from the definitions."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, get_args

import torch

from danlu.optim.catalog import info_of
from danlu.optim.caveats import exemptions, inside, refusals, routes, unverified
from danlu.optim.compose import compose
from danlu.optim.roster import Preset
from danlu.optim.rule import Rule
from danlu.ranges import Interval

__all__ = ["bytes_per_parameter", "explain"]


def explain(name: str) -> str:
    """Describe an optimizer, or a composition such as ``adamw+cautious``.

    Args:
        name: a preset, or what `compose` reads.

    Returns:
        Several lines of text: law, notes, composition, state in bytes per parameter, how it runs, what it refuses and leaves
        alone, what differs by role, arguments with range and default, what could not be verified, sources.

    Raises:
        UnknownNameError: for an unknown name, with the nearest ones.
    """
    named = compose(name)
    rule = named.build(named.options)
    doc = inspect.getdoc(named.preset.build) or ""
    slots = ", ".join((*rule.slots, *rule.memory)) or "none"
    needs = ", ".join(sorted(rule.needs))
    runs = "one compiled kernel, or eager" if rule.scope == "element" else "eager"
    sections = [
        f"{name}: {doc}" if not named.slots else f"{name}: {named.preset.name} with {', '.join(named.slots)} changed\n\n{doc}",
        "composition (in the order of acting)\n" + _indented(str(rule)),
        f"state\n    {bytes_per_parameter(rule):.4g} bytes per float32 parameter of a large matrix: {slots}",
        f"runs\n    needs {needs}; scope {rule.scope}: {runs}",
        *_section("refuses", refusals(inside(rule))),
        *_section("leaves alone", exemptions(inside(rule))),
        *_section("by role", routes(named)),
        *_section("arguments", _arguments(named.preset)),
        *_section("unverified", unverified(named.preset, rule)),
        *_section("sources", dict.fromkeys([named.preset.source, *_sources(rule)])),
    ]
    return "\n\n".join(sections)


def bytes_per_parameter(rule: Rule) -> float:
    """The bytes of state that a rule keeps for one float32 parameter of a large matrix."""
    like = torch.empty(1024, 1024, device="meta")
    return sum(t.numel() * t.element_size() for t in rule.init(like, torch.float32).values()) / like.numel()


def _section(title: str, lines: Iterable[str]) -> list[str]:
    """A titled section, or none when there is nothing to say."""
    text = "\n".join(lines)
    return [f"{title}\n{_indented(text)}"] if text else []


def _sources(rule: Rule) -> list[str]:
    infos = map(info_of, inside(rule))
    return [f"{info.axis}.{info.name}: {info.source}" for info in infos if info is not None]


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
    if hint is type(None):
        return "None"
    return ", ".join(_range(part) if not isinstance(part, str) else part for part in get_args(hint))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
