"""What the page offers: presets, pieces, surfaces, noises and schedules, with ranges read from their declarations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, get_args, get_origin

from danlu.docstrings import first_line
from danlu.optim.catalog import PIECES
from danlu.optim.roster import PRESETS
from danlu.page.wish import NOISES
from danlu.ranges import Interval, hints
from danlu.schedule import SCHEDULES
from danlu.surface import SURFACES

__all__ = ["catalogue"]

_AXES = ("grad", "modify", "decay", "average", "rate", "direction")  # what the page adds to a preset


@cache
def catalogue() -> dict[str, Any]:
    """Everything that can be chosen, as plain JSON values."""
    return {
        "presets": [_preset(name) for name in PRESETS],
        "pieces": [_piece(axis, name) for axis in _AXES for name in PIECES[axis]],
        "surfaces": [
            {"name": name, "law": first_line(SURFACES.get(name)), "options": _of(SURFACES.get(name))} for name in SURFACES
        ],
        "noises": [{"name": name, "law": first_line(NOISES.get(name)), "options": _of(NOISES.get(name))} for name in NOISES],
        "schedules": [{"name": n, "law": first_line(SCHEDULES.get(n)), "options": _of(SCHEDULES.get(n))} for n in SCHEDULES],
    }


def _preset(name: str) -> dict[str, Any]:
    found = PRESETS.get(name)
    options = [_option(key, hint, default) for key, (hint, default) in found.options.items()]
    about = {"name": name, "lr": found.lr, "law": found.summary}
    return {**about, "options": [option for option in options if option]}


def _piece(axis: str, name: str) -> dict[str, Any]:
    found = PIECES[axis].get(name)
    needed = [f.name for f in fields(found.cls) if f.default is MISSING and f.default_factory is MISSING]  # type: ignore[arg-type]
    return {"name": f"{axis}.{name}", "law": found.summary, "needs": needed}


def _of(owner: Callable[..., Any]) -> list[Mapping[str, Any]]:
    defaults = {f.name: f.default for f in fields(owner)}  # type: ignore[arg-type]
    found = [_option(key, hint, defaults[key]) for key, hint in hints(owner).items()]
    return [option for option in found if option]


def _option(name: str, hint: Any, default: Any) -> Mapping[str, Any] | None:
    """An option that the page can show as a slider, several sliders, or a box to tick; None for others."""
    if hint is bool:
        return {"name": name, "default": default, "kind": "flag"}
    bound = _interval(hint)
    if bound is not None and isinstance(default, (int, float)) and math.isfinite(default):
        whole = hint.__origin__ is int
        return {"name": name, "default": default, "kind": "number", "whole": whole, **_ends(bound)}
    parts = get_args(hint) if get_origin(hint) is tuple else ()
    bounds = [_interval(part) for part in parts]
    if parts and all(bounds) and isinstance(default, tuple) and all(map(math.isfinite, default)):
        return {"name": name, "default": list(default), "kind": "numbers", "parts": [_ends(x) for x in bounds if x]}
    return None


def _interval(hint: Any) -> Interval | None:
    return next((x for x in getattr(hint, "__metadata__", ()) if isinstance(x, Interval)), None)


def _ends(bound: Interval) -> dict[str, float | None]:
    return {"lo": bound.lo if math.isfinite(bound.lo) else None, "hi": bound.hi if math.isfinite(bound.hi) else None}
