"""The variance: second moment minus the squared first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.infinite import bounded
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalars, Signal, Start, Tick, found_under, square, under

__all__ = ["Centered"]


@piece(source="Graves 2013, arXiv:1308.0850")
@dataclass(frozen=True)
class Centered(Moment):
    """v − a², with v and a the same recursion over g² and over g: the variance in place of the second moment.

    Rounding can leave it a little below zero; it is clamped at 0 (torch does not clamp, and gives nan there). 4 bytes per
    parameter more than v alone.

    Args:
        second: the recursion over g².
        first: the recursion over g, without bias correction: v − a² of the first step would be 0.
        mean: state key of a.

    Raises:
        ValueError: for a bias-corrected `first`.
    """

    second: Moment
    first: Moment
    mean: str = "grad_avg"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first.exact_at_first:
            raise ValueError(
                "moment.Centered: first must not be bias-corrected, because the first variance would be 0: "
                "give it moment.Ema(β, debias=False)"
            )

    @property
    def signal(self) -> Signal:
        """A variance has the unit of g²."""
        return square

    def slots(self, name: str) -> Mapping[str, Start]:
        """Both recursions' slots."""
        return {**self.second.slots(name), **self.first.slots(self.mean)}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """Both recursions' numbers, the first moment's under ``mean.``."""
        return {**self.second.scalars(tick), **under("mean", self.first.scalars(tick))}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return v and a."""
        return {**self.second.update(name, g, old, c, h), **self.first.update(self.mean, g, old, c, found_under("mean", h))}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return max(v − a², 0), both bias-corrected as their recursions say."""
        v = self.second.read(name, g, old, new, c, h)
        a = self.first.read(self.mean, g, old, new, c, found_under("mean", h))
        return Reading((v.hat - bounded(a.hat * a.hat)).clamp_min(0.0), square)
