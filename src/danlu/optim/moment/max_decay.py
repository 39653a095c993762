"""The decaying maximum of Adamax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalars, Signal, Tick, absolute
from danlu.ranges import Beta, NonNegative

__all__ = ["MaxDecay"]


@piece(source="Kingma & Ba 2014, arXiv:1412.6980, section 7.1")
@dataclass(frozen=True)
class MaxDecay(Moment):
    """u ← max(β·u, |g| + ε): the exponentially weighted infinity norm of the gradients seen. 4 bytes per parameter.

    Args:
        beta: forgetting of the maximum.
        eps: ε inside the maximum, as torch and optax have it; 0 for the paper's and source 000's maximum, which leave ε to the
            denominator.
    """

    beta: Beta
    eps: NonNegative = 0.0

    @property
    def signal(self) -> Signal:
        """The maximum has the unit of |g|."""
        return absolute

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """β and ε."""
        return {"keep": self.beta, "eps": self.eps}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return max(β·u, |g| + ε)."""
        return {name: torch.maximum(old[name] * h["keep"], g.abs() + h["eps"])}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return u."""
        return Reading(new[name], absolute)
