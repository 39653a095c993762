"""Stochastic rounding of bfloat16 parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.rounding import bfloat16_at, draws, seed_number
from danlu.optim.piece import Write
from danlu.optim.values import Scalars, Tick
from danlu.ranges import Interval

__all__ = ["Stochastic"]


@piece(source="Zamirai et al. 2020, arXiv:2010.06192; the rule of torchao")
@dataclass(frozen=True)
class Stochastic(Write):
    """p ← one of the two bfloat16 neighbours of p, the nearer one more often, so that the mean = p. No state.

    Rounding to nearest loses every step below half a spacing, 2⁻⁹·|p|; here it survives on average. Parameters of other dtypes
    are written as they are. The draw is a hash of the new value, the gradient and the step: replicas that hold the same
    parameter round alike, and so does a resumed run. The largest finite value may become infinite.

    Args:
        seed: another number draws other roundings.
    """

    seed: Annotated[int, Interval(0, 2**63, "left")] = 0

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """This step's seed."""
        return {"seed": seed_number("write", self.seed, tick.t)}

    def __call__(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the neighbour that was drawn."""
        return bfloat16_at(p, draws(p, h["seed"], c.g)) if c.dtype == torch.bfloat16 else p
