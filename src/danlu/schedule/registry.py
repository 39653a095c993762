"""Schedules by name, for recipes and the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from danlu.ranges import check, hints
from danlu.registry import Registry, did_you_mean
from danlu.schedule.cyclic import Restarts
from danlu.schedule.duration import Duration
from danlu.schedule.schedule import Per, Schedule, WarmupFrom
from danlu.schedule.shape import (
    Constant,
    Cosine,
    Exponential,
    InverseSqrt,
    Linear,
    OneCycle,
    Polynomial,
    Rex,
    Shape,
    StableCosine,
    Steps,
    Wsd,
)

__all__ = ["SCHEDULES", "create", "schedules"]

SCHEDULES: Registry[Callable[..., Shape]] = Registry("schedule")
"""The shapes by name; add your own with ``SCHEDULES.add("mine", Mine)``, Mine a dataclass with annotated ranges."""

_SHAPES: dict[str, Callable[..., Shape]] = {
    "constant": Constant,
    "cosine": Cosine,
    "exponential": Exponential,
    "inverse_sqrt": InverseSqrt,
    "linear": Linear,
    "one_cycle": OneCycle,
    "polynomial": Polynomial,
    "restarts": Restarts,
    "rex": Rex,
    "stable_cosine": StableCosine,
    "steps": Steps,
    "wsd": Wsd,
}
for _name, _shape in _SHAPES.items():
    SCHEDULES.add(_name, _shape)


def create(
    name: str,
    *,
    warmup: int | str | Duration = 0,
    warmup_from: WarmupFrom = "one",
    per: Per = "step",
    **options: Any,
) -> Schedule:
    """Make a schedule from the name of its shape, ``create("cosine", warmup="5%", floor=0.01)``.

    Args:
        name: one of `schedules`.
        warmup: as in `Schedule`.
        warmup_from: as in `Schedule`.
        per: as in `Schedule`.
        **options: the shape's own arguments, such as floor and power.

    Returns:
        The schedule.

    Raises:
        TypeError: for an option that neither the shape nor `Schedule` has, with the nearest ones.
    """
    shape = SCHEDULES.get(name)
    ranges = hints(shape)
    for option in options:
        if option not in ranges:
            near = did_you_mean(option, [*ranges, "warmup", "warmup_from", "per"])
            raise TypeError(f"schedule {name!r} has no option {option!r}{near}")
    check(name, ranges, options)
    return Schedule(shape(**options), warmup, warmup_from, per)


def schedules() -> list[str]:
    """Return the names that `create` takes, sorted."""
    return list(SCHEDULES)
