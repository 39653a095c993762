"""What moments that are made from another moment have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalars, Signal, Start

__all__ = ["AbstractOver"]


@dataclass(frozen=True)
class AbstractOver(Moment):
    """Everything as the moment inside has it; a subclass changes what that one is fed, or what becomes of it.

    Args:
        moment: the moment inside.

    Raises:
        ValueError: for a moment that has signs, where the subclass is for magnitudes.
    """

    moment: Moment

    magnitude: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.magnitude and self.signal is Signal.GRADIENT:
            raise ValueError(f"moment.{type(self).__name__} is for magnitudes: give it a moment of g² or |g|, not of g")

    @property
    def signal(self) -> Signal:
        """The unit of the moment."""
        return self.moment.signal

    def slots(self, name: str) -> Mapping[str, Start]:
        """The moment's slots."""
        return self.moment.slots(name)

    def magnitudes(self, name: str) -> frozenset[str]:
        """The moment's magnitudes."""
        return self.moment.magnitudes(name)

    @property
    def exact_at_first(self) -> bool:
        """Whether the moment is; a subclass whose first reading is another one says no."""
        return self.moment.exact_at_first

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the moment's new state."""
        return self.moment.update(name, g, old, c, h)

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return the moment's reading."""
        return self.moment.read(name, g, old, new, c, h)
