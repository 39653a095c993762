"""What a run is going to do, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from danlu.schedule import Duration
from danlu.train.callback import POINTS, Callback, taking

__all__ = ["described"]


def described(lengths: Mapping[str, Duration | None], callbacks: Sequence[Callback]) -> str:
    """Return a line per length, then one per point at which somebody takes part, in the order in which they act."""
    rows = {name: "-" if length is None else str(length) for name, length in lengths.items()}
    rows |= {point: ", then ".join(each.name for each in taking(callbacks, point)) for point in POINTS}
    rows["observe"] = ", then ".join(each.name for each in callbacks)
    shown = {name: text for name, text in rows.items() if text}
    wide = max(map(len, shown))
    return "\n".join(f"{name:<{wide}}  {text}" for name, text in shown.items())
