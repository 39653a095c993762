"""The first form of SM3: sums of slice maxima."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.covers import least, maxima
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalars, Scope, Sight, Signal, Start, square

__all__ = ["CoverSum"]


@piece(source="Anil et al. 2019 (SM3-I), arXiv:1901.11150")
@dataclass(frozen=True)
class CoverSum(Moment):
    """μₐ(i) ← μₐ(i) + max of g² over the slice with index i on axis a, read as the least μₐ of each element.

    The authors use SM3-II, ``moment.Sum`` in ``store.Cover``, which is never larger and never below the sum of g²; so it takes
    longer steps. The vectors lie in one state tensor, axis after axis: 4·Σnₐ/Πnₐ bytes per parameter; state key
    ``cover_<name>``. Tensors of fewer than two dimensions keep the sum of g² (4 bytes).
    """

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Every axis."""
        return "axes"

    @property
    def signal(self) -> Signal:
        """It bounds a sum of g²."""
        return square

    def slots(self, name: str) -> Mapping[str, Start]:
        """One slot, zeros; it has a name of its own, because its shape is not the parameter's."""
        return {f"cover_{name}": _none_yet}

    def magnitudes(self, name: str) -> frozenset[str]:
        """The slot: sums of maxima of g²."""
        return frozenset({f"cover_{name}"})

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return μ + the maxima of g²."""
        x = g * g
        return {f"cover_{name}": old[f"cover_{name}"] + (torch.cat(maxima(x)) if x.ndim > 1 else x)}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return the smallest of the sums that cover each element."""
        mu = new[f"cover_{name}"]
        return Reading(least(mu.split(list(g.shape))) if g.ndim > 1 else mu, square)


def _none_yet(p: Tensor) -> Tensor:
    return p.new_zeros(sum(p.shape)) if p.ndim > 1 else torch.zeros_like(p)
