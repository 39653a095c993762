"""What the browser asks for, checked before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from danlu import schedule
from danlu.optim.compose import compose
from danlu.optim.named import Named
from danlu.optim.rule import Rule
from danlu.ranges import Interval, Positive, check, hints
from danlu.registry import Registry, refuse_unknown, snake
from danlu.surface import Gaussian, HeavyTailed, Noise, Sparse, Surface
from danlu.surface import create as create_surface

__all__ = ["NOISES", "Side", "Wish"]

NOISES: Registry[type[Noise]] = Registry("noise")
for _noise in (Gaussian, HeavyTailed, Sparse):
    NOISES.add(snake(_noise), _noise)

_LONGEST = 400  # letters of a composition
_MOST = 10  # rules at once
_KEYS = {"sides", "surface", "start", "steps", "seed", "noise", "schedule", "grid"}
_NUMBERS = {
    "steps": Annotated[int, Interval(1, 2000)],
    "seed": Annotated[int, Interval(0, 2**31)],
    "grid": Annotated[int, Interval(2, 64)],
    "x": Annotated[float, Interval(-1e3, 1e3)],
    "y": Annotated[float, Interval(-1e3, 1e3)],
}


@dataclass(frozen=True)
class Side:
    """One of the rules that are compared: its composition as text, the rule, its learning rate."""

    text: str
    named: Named
    rule: Rule
    lr: float

    @classmethod
    def read(cls, given: Any) -> Side:
        """Read ``{"rule": "adamw+modify.cautious", "lr": 0.1}``; without an lr, the preset's own.

        Returns:
            The side.

        Raises:
            TypeError: for anything else.
            ValueError: for an unknown name or a value out of its range.
        """
        found = _table("side", given, {"rule", "lr"})
        text = found.get("rule")
        if not isinstance(text, str) or len(text) > _LONGEST:
            raise TypeError(f"side: rule must be a composition of at most {_LONGEST} letters, such as 'adamw'")
        named = compose(text)
        lr = found.get("lr", named.preset.lr)
        check("side", {"lr": Positive}, {"lr": lr})
        return cls(text, named, named.build(named.options), float(lr))


@dataclass(frozen=True)
class Wish:
    """A whole set-up of the page."""

    sides: tuple[Side, ...]
    surface: Surface
    start: tuple[float, float]
    steps: int
    seed: int
    noise: Noise | None
    schedule: schedule.Schedule | None
    grid: int

    @classmethod
    def read(cls, given: Any) -> Wish:
        """Read the page's JSON; what is left out has its default.

        Returns:
            The set-up.

        Raises:
            TypeError: for an unknown key or a value of the wrong kind.
            ValueError: for an unknown name or a value out of its range.
        """
        found = _table("request", given, _KEYS)
        surface = _surface(found.get("surface", {"name": "rosenbrock"}))
        start = found.get("start", surface.start)
        if not isinstance(start, (list, tuple)) or len(start) != 2:
            raise TypeError("request: start must be two numbers [x, y]")
        numbers = {"steps": found.get("steps", 300), "seed": found.get("seed", 0), "grid": found.get("grid", 24)}
        check("request", _NUMBERS, {**numbers, "x": start[0], "y": start[1]})
        sides = found.get("sides", [{"rule": "adamw"}])
        if not isinstance(sides, list) or not 1 <= len(sides) <= _MOST:
            raise TypeError(f"request: sides must be a list of 1 to {_MOST} rules")
        return cls(
            tuple(map(Side.read, sides)),
            surface,
            (float(start[0]), float(start[1])),
            **{name: int(x) for name, x in numbers.items()},
            noise=_noise_of(found.get("noise")),
            schedule=_schedule_of(found.get("schedule")),
        )

    def lrs(self, side: Side, count: int) -> list[float]:
        """Learning rates around a side's own, two decades either way, for the curve."""
        return [side.lr * 10.0 ** (4.0 * i / (count - 1) - 2.0) for i in range(count)]


def _table(owner: str, given: Any, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise TypeError(f"{owner}: needs a table, got {type(given).__name__}")
    refuse_unknown(owner, given, known)
    return given


def _named(owner: str, given: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise TypeError(f"{owner}: needs a table with a name, got {type(given).__name__}")
    options = {key: x for key, x in given.items() if key != "name"}
    for key, x in options.items():
        if isinstance(x, float) and not math.isfinite(x):
            raise ValueError(f"{owner}: {key} must be finite, got {x}")
    return given["name"], options


def _surface(given: Any) -> Surface:
    name, options = _named("surface", given)
    return create_surface(name, **options)


def _noise_of(given: Any) -> Noise | None:
    if given is None:
        return None
    name, options = _named("noise", given)
    kind = NOISES.get(name)
    refuse_unknown(f"noise {name!r}", options, hints(kind))
    return kind(**options)


def _schedule_of(given: Any) -> schedule.Schedule | None:
    if given is None:
        return None
    name, options = _named("schedule", given)
    return schedule.create(name, **options)
