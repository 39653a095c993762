"""Norm loss: every row of a weight is pulled towards length 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.decay.rated import AbstractRated
from danlu.optim.formulas.units import is_vector, unit_norm
from danlu.optim.values import Scalars, Scope, Sight

__all__ = ["NormLoss"]


@piece(source="Georgiou et al. 2021 (Norm Loss), arXiv:2103.06583")
@dataclass(frozen=True)
class NormLoss(AbstractRated):
    """pₒ ← pₒ − lr·2λ·(1 − 1/‖pₒ‖)·pₒ: the gradient of λ·Σₒ(1 − ‖pₒ‖)² over the output rows o, beside the step.

    Rows longer than 1 shrink, shorter ones grow; a zero row has no direction and stays. Decoupled; under plain SGD that is the
    paper's loss term itself. It takes the place of a decay to zero, never beside one. No state. 0 is off.

    Args:
        rate: λ.
        vectors: pull biases, gains and scalars too, each as one unit.
    """

    vectors: bool = False

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Rows against the rest."""
        return "rows"

    def shrink(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the old parameter with every row nearer to length 1."""
        if is_vector(p) and not self.vectors:
            return p
        norm = unit_norm(p)
        tiny = torch.finfo(norm.dtype).tiny  # the length of a single number may be a denormal, whose 1/‖p‖ is inf
        return p - p * torch.where(norm > tiny, 1.0 - 1.0 / norm, 0.0) * (c.lr * h["rate"] * 2.0)
