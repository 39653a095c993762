"""AdEMAMix: a second, much slower average beside the usual one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.moment.over import AbstractOver
from danlu.optim.values import Reading, Scalars, Start, Tick, gradient
from danlu.ranges import Beta, NonNegative, Steps

__all__ = ["SlowMix"]


@piece(source="Pagliardini, Ablin, Grangier 2024 (AdEMAMix), arXiv:2409.03137; apple/ml-ademamix")
@dataclass(frozen=True)
class SlowMix(AbstractOver):
    """s ← β₃·s + (1 − β₃)·g, read as m̂ + α·s: m is any fast moment, s is not bias-corrected.

    A gradient 10 000 steps old still counts at β₃ = 0.9999, and s without correction grows into its weight over that time. Both
    warm-ups keep the early steps those of the fast moment: α grows from 0 in proportion to t, and β₃ from `beta_start` so that
    its half-life grows in proportion to t (1/ln β₃ is interpolated). State key ``<name>_slow``: 4 bytes per parameter beside
    the moment's own.

    Args:
        moment: the fast moment, of g.
        beta: β₃.
        alpha: α; 4 to 10 in the paper, and 0 is off.
        alpha_warmup: steps until α is reached; 0 for at once.
        beta_warmup: steps until β₃ is reached; 0 for at once.
        beta_start: β₃ before the first step: the fast moment's β.

    Raises:
        ValueError: for a moment of g² or |g|.
    """

    beta: Beta = 0.9999
    alpha: NonNegative = 2.0
    alpha_warmup: Steps = 0
    beta_warmup: Steps = 0
    beta_start: Beta = 0.9

    @property
    def exact_at_first(self) -> bool:
        """No: the slow average is added."""
        return False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.moment.signal is not gradient:
            raise ValueError(f"moment.SlowMix: moment must be one of g, got {self.moment.brief()} of {self.moment.signal!r}")

    def slots(self, name: str) -> Mapping[str, Start]:
        """The fast moment's slots and the slow average."""
        return {**self.moment.slots(name), f"{name}_slow": 0.0}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The fast moment's numbers, the weight of g in s and of s in the reading."""
        alpha = self.alpha * min(1.0, tick.t / self.alpha_warmup if self.alpha_warmup else 1.0)
        return {**self.moment.scalars(tick), "slow_new": 1.0 - self._beta(tick.t), "alpha": alpha}

    def _beta(self, t: int) -> float:
        if t >= self.beta_warmup or not (self.beta and self.beta_start):
            return self.beta
        done = t / self.beta_warmup
        return math.exp(1.0 / ((1.0 - done) / math.log(self.beta_start) + done / math.log(self.beta)))

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the fast moment's state and the slow average."""
        slow = old[f"{name}_slow"]
        return {**self.moment.update(name, g, old, c, h), f"{name}_slow": slow + (g - slow) * h["slow_new"]}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return m̂ + α·s."""
        return Reading(self.moment.read(name, g, old, new, c, h).hat + new[f"{name}_slow"] * h["alpha"])
