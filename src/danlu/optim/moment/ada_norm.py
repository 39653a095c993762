"""AdaNorm: a moment that sees short gradients at their usual length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.moment.over import AbstractOver
from danlu.optim.values import Reading, Scalars, Scope, Sight, Start, Tick, single_zero
from danlu.ranges import Beta

__all__ = ["AdaNorm"]


@piece(source="Dubey et al. 2022 (AdaNorm), arXiv:2210.06364; the authors' code")
@dataclass(frozen=True)
class AdaNorm(AbstractOver):
    """m = the moment of ĝ = g·max(1, e/‖g‖), e ← r·e + (1 − r)·‖g‖ from e₀ = 0: short gradients at their usual length.

    Only this moment sees ĝ; the second moment keeps the raw gradient. Gradients are never shortened, and e needs about
    1/(1 − r) steps before it reaches their length. A zero gradient stays zero (the authors' 0/0 ends in nan). One number per
    tensor beside the moment's own; state key ``<name>_norm``.

    Args:
        moment: the recursion that is fed.
        r: memory of the mean length.
    """

    r: Beta = 0.95

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Nothing: only its elements."""
        return "elements"

    def slots(self, name: str) -> Mapping[str, Start]:
        """The moment's slots and e."""
        return {**self.moment.slots(name), f"{name}_norm": single_zero}

    def magnitudes(self, name: str) -> frozenset[str]:
        """The moment's magnitudes and e."""
        return self.moment.magnitudes(name) | {f"{name}_norm"}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The moment's numbers and 1 − r."""
        return {**self.moment.scalars(tick), "norm_new": 1.0 - self.r}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the moment's state and e."""
        e = old[f"{name}_norm"]
        e = e + (torch.linalg.vector_norm(g) - e) * h["norm_new"]
        return {**self.moment.update(name, _lengthened(g, e), old, c, h), f"{name}_norm": e}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return the moment's reading of ĝ."""
        return self.moment.read(name, _lengthened(g, new[f"{name}_norm"]), old, new, c, h)


def _lengthened(g: Tensor, e: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(g)
    unit = g / norm.clamp_min(torch.finfo(norm.dtype).tiny)  # divided first: e/‖g‖ may be beyond the dtype
    return torch.where(e > norm, unit * e, g)
