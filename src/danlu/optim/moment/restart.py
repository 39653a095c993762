"""Moments that do not outlive a cycle: what becomes of the momentum when Lookahead pulls the weights back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.moment.over import AbstractOver
from danlu.optim.values import Scalars, Start, Tick
from danlu.ranges import Count, Fraction

__all__ = ["PullBack", "Restart"]


@piece(source="Zhang et al. 2019 (Lookahead, momentum reset), arXiv:1907.08610")
@dataclass(frozen=True)
class Restart(AbstractOver):
    """m ← 0 before every k-th step after the first: the moment begins anew, its bias correction and first step too.

    Args:
        moment: the moment that restarts.
        every: k; Lookahead's for the momentum of its inner rule.
    """

    every: Count = 5

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The moment's numbers at its step within the cycle, and whether it goes on."""
        since = (tick.t - 1) % self.every
        return {**self.moment.scalars(tick._replace(t=since + 1)), "goes_on": float(since > 0)}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the moment's new state, from nothing at the start of a cycle."""
        return self.moment.update(name, g, {slot: x * h["goes_on"] for slot, x in old.items()}, c, h)


@piece(source="Zhang et al. 2019 (Lookahead, momentum pullback), arXiv:1907.08610")
@dataclass(frozen=True)
class PullBack(AbstractOver):
    """s ← s + α·(m − s) and then m ← s, before every k-th step after the first: the momentum goes back with the weights.

    s starts at 0, the authors' own choice. Their code keeps a reference to m for s, so that only its first pull is this one.
    It adds 4 bytes per parameter. Of the moment's slots the one with its name is pulled.

    Args:
        moment: the moment that is pulled back.
        every: k; Lookahead's for the momentum of its inner rule.
        alpha: α; Lookahead's.
    """

    every: Count = 5
    alpha: Fraction = 0.5

    def slots(self, name: str) -> Mapping[str, Start]:
        """The moment's slots, and s."""
        return {**self.moment.slots(name), f"slow_{name}": 0.0}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The moment's numbers, how far s moves, and which of m and s goes on."""
        sync = float(tick.t > 1 and (tick.t - 1) % self.every == 0)
        return {**self.moment.scalars(tick), "pull": self.alpha * sync, "slow": sync, "fast": 1.0 - sync}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the moment's new state, and s."""
        m, s = old[name], old[f"slow_{name}"]
        s = s + (m - s) * h["pull"]
        return {**self.moment.update(name, g, {**old, name: m * h["fast"] + s * h["slow"]}, c, h), f"slow_{name}": s}
