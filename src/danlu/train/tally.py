"""Running sums and counts, and the means of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import final

from danlu.loss import Count

__all__ = ["Tally"]


@final
class Tally:
    """Adds up totals and counts in double precision on the host; the means are those of all items, however batched."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {"loss": (0.0, 0.0)}

    def add(self, total: Count, count: Count, measures: Mapping[str, tuple[Count, Count]]) -> None:
        """Add one batch or one update; a measure called "loss" is refused.

        Args:
            total: sum of the loss.
            count: its items.
            measures: name → (sum, count).

        Raises:
            ValueError: when a measure is called "loss", which is the loss's own name.
        """
        if "loss" in measures:
            raise ValueError("a measure is called 'loss', which is the loss's own name; give it another")
        for name, (add_total, add_count) in {**measures, "loss": (total, count)}.items():
            have = self._sums.get(name, (0.0, 0.0))
            self._sums[name] = (have[0] + float(add_total), have[1] + float(add_count))

    def means(self, prefix: str) -> dict[str, float]:
        """Return sum/count under ``prefix/name``, the loss first; nan where nothing was counted."""
        return {f"{prefix}/{name}": total / count if count else math.nan for name, (total, count) in self._sums.items()}

    def state_dict(self) -> dict[str, list[float]]:
        """Return name → [sum, count]."""
        return {name: list(pair) for name, pair in self._sums.items()}

    def load_state_dict(self, state: Mapping[str, Sequence[float]]) -> None:
        """Take them back."""
        self._sums = {name: (float(total), float(count)) for name, (total, count) in state.items()}
