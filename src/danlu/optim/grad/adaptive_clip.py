"""Clipping of each output unit in proportion to its own weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.norms import shrinkage
from danlu.optim.formulas.units import is_vector, unit_norm, unit_numel
from danlu.optim.piece import GradPiece
from danlu.optim.values import Scalars, Scope, Sight, Tick
from danlu.ranges import Positive

__all__ = ["AdaptiveClip", "SoftClip"]


@dataclass(frozen=True)
class AbstractUnitClip(GradPiece):
    """gₒ ← gₒ·min(1, λ·max(size(pₒ), floor)/size(gₒ)) for every output row o of a weight; a vector is one unit.

    Args:
        ratio: λ, largest size of the gradient per size of the weights.
        floor: least size of the weights that counts; zero weights (a zero-initialised bias or residual branch) would never
            move without it, and under SGD they move slowly with it.
        vectors: clip biases, gains and scalars too.
    """

    ratio: Positive
    floor: Positive = 1e-3
    vectors: bool = True

    scope: ClassVar[Scope] = "tensor"

    @property
    def sees(self) -> Sight:
        """Rows against the rest."""
        return "rows"

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """λ and the floor."""
        return {"ratio": self.ratio, "floor": self.floor}

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the clipped gradient."""
        if is_vector(g) and not self.vectors:
            return g
        bound = self.size(c.p).clamp_min(h["floor"]) * h["ratio"]
        return g * shrinkage(self.size(g), bound)

    @abstractmethod
    def size(self, x: Tensor) -> Tensor:
        """Return the size of every unit."""


@piece(source="Brock et al. 2021 (NFNets), arXiv:2102.06171; the authors' optim.py")
@dataclass(frozen=True)
class AdaptiveClip(AbstractUnitClip):
    """gₒ ← gₒ·min(1, λ·max(‖pₒ‖, floor)/‖gₒ‖): AGC, the norm of each output row at most λ of its weights' norm.

    λ is 0.01 at batch 4096 and up to 0.16 at small ones. Every row keeps its direction. The output head is left alone, as in
    the paper, wherever roles are known: in an optimizer made from a module or from `groups`. Elsewhere, leave it out in a
    group ``without`` the piece; ``when("head", without=())`` clips it as well. A gain of shape (O, 1, 1, 1) is a vector, one
    unit, as in the authors' code; timm clips its elements one by one. No state.
    """

    ratio: Positive = 0.01

    skips_roles: ClassVar[frozenset[str]] = frozenset({"head"})

    def size(self, x: Tensor) -> Tensor:
        """Return ‖xₒ‖."""
        return unit_norm(x)


@piece(source="source 003 (soft clip), repaired")
@dataclass(frozen=True)
class SoftClip(AbstractUnitClip):
    """gₒ ← gₒ·min(1, λ·max(rms(pₒ), floor)/rms(gₒ)): `AdaptiveClip` with root mean squares and λ = 1; hard, for all its name.

    The source's floor of 1e-12 freezes every zero-initialised weight for ever: it is 1e-3 here, and vectors (biases, gains) are
    left alone unless asked for. ``floor=1e-12, vectors=True`` is the source's. No state.
    """

    ratio: Positive = 1.0
    vectors: bool = False

    def size(self, x: Tensor) -> Tensor:
        """Return rms(xₒ)."""
        return unit_norm(x) * unit_numel(x) ** -0.5
