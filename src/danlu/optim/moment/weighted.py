"""Moments whose signals carry weights, such as an estimated distance, read in the unit of the latest weight."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.moment.over import AbstractOver
from danlu.optim.values import Reading, Scalars, Signal, Tick

__all__ = ["ByDistance", "ByRate"]


@dataclass(frozen=True)
class AbstractWeighted(AbstractOver):
    """m ← the moment of w·g, read as m/w′: later signals count more when the weight grows, and the unit stays g's.

    Args:
        moment: the moment that is fed w·g.
    """

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The moment's numbers, w, and 1/w′ in the unit of g and of the signal; 0 where w′ is 0, so that nothing moves."""
        weight, unit = self.weights(tick)
        per = 1.0 / unit if unit else 0.0
        return {**self.moment.scalars(tick), "weight": weight, "per": per, "per_signal": per**self._power}

    @abstractmethod
    def weights(self, tick: Tick) -> tuple[float, float]:
        """Return w and w′."""

    @property
    def _power(self) -> int:
        return 2 if self.signal is Signal.SQUARE else 1

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the moment's new state."""
        return self.moment.update(name, g * h["weight"], old, c, h)

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return the moment's reading in the unit of w′."""
        found = self.moment.read(name, g * h["weight"], old, new, c, h)
        return found._replace(debias=found.debias * h["per_signal"], root_debias=found.root_debias * h["per"])


@piece(source="Mishchenko & Defazio 2023 (Prodigy), arXiv:2306.06101")
@dataclass(frozen=True)
class ByDistance(AbstractWeighted):
    """m ← the moment of d·g, read as m/d′ with the distance d before and d′ after this step's estimate.

    Without a rate that estimates a distance (such as ``rate.Prodigy``) d is 1. Early gradients, from when d was far too small,
    are forgotten as d grows.
    """

    def weights(self, tick: Tick) -> tuple[float, float]:
        """Return d and d′."""
        return tick.shared.get("d_before", 1.0), tick.shared.get("d", 1.0)


@piece(source="Defazio & Mishchenko 2023 (D-Adaptation), arXiv:2301.07733; dadaptation 3.2")
@dataclass(frozen=True)
class ByRate(AbstractWeighted):
    """m ← the moment of lr·g, read as m/lr′ with lr′ = lr of this step: each gradient keeps its own day's lr, as in `after_lr`.

    In a step with lr 0 nothing moves (the authors' buffer goes on moving p).
    """

    def weights(self, tick: Tick) -> tuple[float, float]:
        """Return lr twice."""
        return tick.lr, tick.lr
