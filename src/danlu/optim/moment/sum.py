"""The sum of everything seen: Adagrad's accumulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalars, Signal, Start, square
from danlu.ranges import NonNegative

__all__ = ["Sum"]


@piece(source="Duchi, Hazan, Singer 2011 (JMLR 12)")
@dataclass(frozen=True)
class Sum(Moment):
    """G ← G + x: never forgets, so a step under 1/√G shrinks like 1/√t. 4 bytes per parameter.

    Args:
        of: the signal x: `square`, `absolute` or `gradient`.
        start: G₀.
    """

    of: Signal = square
    start: NonNegative = 0.0

    @property
    def signal(self) -> Signal:
        """What was asked for."""
        return self.of

    def slots(self, name: str) -> Mapping[str, Start]:
        """One slot, from `start`."""
        return {name: self.start}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return G + x."""
        return {name: old[name] + self.of(g)}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return G."""
        return Reading(new[name], self.of)
