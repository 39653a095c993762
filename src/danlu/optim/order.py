"""The one place that says in which order the pieces of a rule act; `Rule` shows it.

Each part of the order yields the path of a piece before it acts, so that one that measures may do so at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from danlu.optim.context import Context
from danlu.optim.values import Scalars

if TYPE_CHECKING:
    from danlu.optim.rule import Rule

__all__ = ["directed", "modified", "onwards", "towards"]


def towards(rule: Rule, c: Context, h: Mapping[str, Scalars]) -> Iterator[str]:
    """The order up to the direction."""
    for i, transform in enumerate(rule.grad):
        yield f"grad.{i}"
        c.g = c.u = transform(c.g, c, h[f"grad.{i}"])
    if rule.decay is not None:
        c.g = c.u = rule.decay.penalty(c.g, c, h["decay"])
    for i, rate in enumerate(rule.rate):
        yield f"rate.{i}"
        rate.watch(c, h[f"rate.{i}"])
    for name, moment in rule.moments.items():
        yield f"moments.{name}"
        c.readings[name] = c.run(name, moment, c.g, h[f"moments.{name}"])


def directed(rule: Rule, c: Context, h: Mapping[str, Scalars]) -> Iterator[str]:
    """The direction, and what changes it."""
    yield "direction"
    c.u = rule.direction(c, h["direction"])
    yield from modified(rule, c, h)


def modified(rule: Rule, c: Context, h: Mapping[str, Scalars]) -> Iterator[str]:
    """What changes the direction."""
    for i, modify in enumerate(rule.modify):
        yield f"modify.{i}"
        c.u = modify(c.u, c, h[f"modify.{i}"])


def onwards(rule: Rule, c: Context, h: Mapping[str, Scalars]) -> Iterator[str]:
    """The order from there on."""
    delta = c.u * c.lr
    for i, modify in enumerate(rule.after_lr):
        yield f"after_lr.{i}"
        delta = modify(delta, c, h[f"after_lr.{i}"])
    yield "decay"
    p = c.p if rule.decay is None else rule.decay.shrink(c.p, c, h["decay"])
    p = p - delta
    if rule.decay is not None:
        p = rule.decay.constrain(p, c, h["decay"])
    if rule.average is not None:
        yield "average"
        p = rule.average.follow(p, c, h["average"])
    if rule.write is not None:
        p = rule.write(p, c, h["write"])
    c.moved = p
