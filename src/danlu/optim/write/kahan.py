"""Compensated writing: what rounding cut off is added to the next step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.rounding import bfloat16_nearest
from danlu.optim.piece import Write
from danlu.optim.values import Scalars, Start

__all__ = ["Kahan"]


@piece(source="Zamirai et al. 2020, arXiv:2010.06192; optimi")
@dataclass(frozen=True)
class Kahan(Write):
    """y = p + e, p ← y rounded to bfloat16, e ← y − p: nothing of a step is lost.

    p + e is the parameter that a float32 run would have. The decay is compensated too (optimi multiplies p by it, which is lost
    in bfloat16 below lr·λ = 2⁻⁹). State key ``compensation``: 4 bytes per parameter, or 2 with
    ``store={"compensation": store.Dense(torch.bfloat16)}``, which keeps 8 bits more than p has. Parameters of other
    dtypes are written as they are.
    """

    def slots(self) -> Mapping[str, Start]:
        """e, from 0."""
        return {"compensation": 0.0}

    def __call__(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the rounded sum, and keep the rest."""
        y = p + c.load("compensation")
        written = bfloat16_nearest(y) if c.dtype == torch.bfloat16 else y
        c.save("compensation", y - written)
        return written
