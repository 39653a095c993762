"""ε inside the recursion: stored, and so accumulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.moment.over import AbstractOver
from danlu.optim.values import Scalars, Tick
from danlu.ranges import NonNegative

__all__ = ["Lifted"]


@piece(source="Zhuang et al. 2020 (AdaBelief), arXiv:2010.07468; Yuan & Gao 2020 (EAdam), arXiv:2011.02150")
@dataclass(frozen=True)
class Lifted(AbstractOver):
    """v ← moment(v) + ε, stored with ε: under an EMA the floor grows to ε/(1 − β), a thousand ε at β = 0.999.

    ε has the unit of g². A coordinate without noise ends at a gain of 1/√(ε/(1 − β)): 3e6 for ε = 1e-16.

    Args:
        moment: the recursion of a magnitude.
        eps: ε, added to the stored value at every step.

    Raises:
        ValueError: for a moment that has signs.
    """

    eps: NonNegative = 1e-8

    magnitude: ClassVar[bool] = True

    @property
    def exact_at_first(self) -> bool:
        """No: ε is added."""
        return False

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The moment's numbers and ε."""
        return {**self.moment.scalars(tick), "lift": self.eps}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the moment's new state, its own slot lifted by ε."""
        new = self.moment.update(name, g, old, c, h)
        return {**new, name: new[name] + h["lift"]}
