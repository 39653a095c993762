"""Running sums and counts, and the means of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import final

from danlu.loss import Count

__all__ = ["Tally"]

_PART = "+ "  # before the name of a sum that is a part of the loss


@final
class Tally:
    """Adds up totals and counts in double precision on the host; the means are those of all items, however batched."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {"loss": (0.0, 0.0)}

    def add(
        self,
        total: Count,
        count: Count,
        measures: Mapping[str, tuple[Count, Count]],
        parts: Mapping[str, tuple[Count, Count]] = MappingProxyType({}),
    ) -> None:
        """Add one batch or one update; a measure or part called "loss" is refused.

        Args:
            total: sum of the loss.
            count: its items.
            measures: name → (sum, count).
            parts: further terms of the loss, name → (sum, count).

        Raises:
            ValueError: when a measure or part is called "loss", which is the loss's own name.
        """
        for kind, names in (("measure", measures), ("part", parts)):
            if "loss" in names:
                raise ValueError(f"a {kind} is called 'loss', which is the loss's own name; give it another")
        named = {_PART + name: pair for name, pair in parts.items()}
        self._add({"loss": (total, count), **measures, **named})

    def join(self, others: Iterable[Tally]) -> None:
        """Add what others have added up."""
        for other in others:
            self._add(other._sums)

    def means(self, prefix: str) -> dict[str, float]:
        """Return sum/count under ``prefix/name``, the loss first; nan where nothing was counted.

        The loss is its own mean plus those of its parts, as far as they counted something.
        """
        found = {name: total / count if count else math.nan for name, (total, count) in self._sums.items()}
        terms = [
            total / count for name, (total, count) in self._sums.items() if count and (name == "loss" or name.startswith(_PART))
        ]
        found["loss"] = sum(terms) if terms else math.nan
        return {f"{prefix}/{name.removeprefix(_PART)}": mean for name, mean in found.items()}

    def _add(self, pairs: Mapping[str, tuple[Count, Count]]) -> None:
        for name, (total, count) in pairs.items():
            have = self._sums.get(name, (0.0, 0.0))
            self._sums[name] = (have[0] + float(total), have[1] + float(count))

    def state_dict(self) -> dict[str, list[float]]:
        """Return name → [sum, count]."""
        return {name: list(pair) for name, pair in self._sums.items()}

    def load_state_dict(self, state: Mapping[str, Sequence[float]]) -> None:
        """Take them back."""
        self._sums = {name: (float(total), float(count)) for name, (total, count) in state.items()}
