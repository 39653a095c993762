"""What rates that estimate the distance to the solution from weighted gradients have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.piece import Measured, Rate
from danlu.optim.values import Scalars, Tick

__all__ = ["AbstractDistance"]


@dataclass(frozen=True)
class AbstractDistance(Rate, Measured):
    """lr ← d·lr with the d from before this step's estimate, and s ← β·s + w·g, β = ``h["keep"]`` and w = ``h["push"]``."""

    settles: ClassVar[tuple[str, ...]] = ()  # what it finds is shared from step to step

    def share(self, tick: Tick) -> Mapping[str, float]:
        """The step takes the d that the last one left."""
        return {"d_before": tick.shared["d"]}

    def factor(self, tick: Tick) -> float:
        """Return d."""
        return tick.shared["d_before"]

    def watch(self, c: Context, h: Scalars) -> None:
        """Keep s."""
        c.save("s", self._s(c, h))

    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return the tensor's share of r's new term and of ‖s‖₁."""
        inner = self.align(c, h).sum(dtype=torch.float64)
        return torch.stack([inner * h["align"], self._s(c, h).abs().sum(dtype=torch.float64)])

    def _s(self, c: Context, h: Scalars) -> Tensor:
        return c.load("s") * h["keep"] + c.g * h["push"]

    @abstractmethod
    def align(self, c: Context, h: Scalars) -> Tensor:
        """Return each element's share of r's new term, before its weight ``h["align"]``."""
