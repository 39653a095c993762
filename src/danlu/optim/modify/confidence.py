"""CAME's confidence: momentum divided by how far the updates scatter about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Modify, Moment
from danlu.optim.values import Scalars, Scope, Sight, Start, Tick, found_under, under
from danlu.ranges import Positive

__all__ = ["Confidence"]


@piece(source="Luo et al. 2023 (CAME), arXiv:2307.02047; the authors' code")
@dataclass(frozen=True)
class Confidence(Modify):
    """u ← m/√s with m an average of u and s one of (u − m)²: large where successive updates agree.

    Tensors of fewer than two dimensions take m as it is; the s that they keep is not used. Without bias correction the first s
    is 1 − β₃ of its final size, so the first steps are up to 1/√(1 − β₃) times longer: warm lr up.

    Args:
        first: the average m, without bias correction, such as ``moment.Ema(0.9, debias=False)``.
        second: the average s of squares; with an ε, ``moment.Ema(0.9999, square, debias=False, eps=1e-16)``, which is all that
            is left to divide by where updates agree exactly.
        name: state key of m.
        scatter: state key of s.
        eps: floor of √s, for a rank-1 s that is 0 in float32 where a dead row crosses a dead column.

    Raises:
        ValueError: for a bias-corrected `first`.
    """

    first: Moment
    second: Moment
    name: str = "update_avg"
    scatter: str = "update_scatter"
    eps: Positive = 1e-19

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Rows against the rest."""
        return "rows"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first.exact_at_first:
            raise ValueError(
                "modify.Confidence: first must not be bias-corrected, because the first update would scatter by 0 about it: "
                "give it moment.Ema(β, debias=False)"
            )

    def slots(self) -> Mapping[str, Start]:
        """Both averages' slots."""
        return {**self.first.slots(self.name), **self.second.slots(self.scatter)}

    def magnitudes(self) -> frozenset[str]:
        """What s is kept in."""
        return self.second.magnitudes(self.scatter)

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """Both averages' numbers, the second's under ``scatter.``, and the floor."""
        return {**self.first.scalars(tick), **under("scatter", self.second.scalars(tick)), "floor": self.eps}

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return m/√s."""
        m = c.run(self.name, self.first, u, h).hat
        s = c.run(self.scatter, self.second, u - m, found_under("scatter", h))
        return m / s.root.clamp_min(h["floor"]) if u.ndim > 1 else m
