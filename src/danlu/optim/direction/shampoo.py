"""Shampoo: a matrix preconditioner for every axis of a tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.direction.kronecker import Factors, MaxSize, along, gram, pack, start, unpack
from danlu.optim.formulas.eigen import eigen
from danlu.optim.piece import Direction
from danlu.optim.values import Scalar, Scalars, Scope, Start, Tick
from danlu.ranges import Count, Positive

__all__ = ["Shampoo"]


@piece(source="Gupta, Koren, Singer 2018 (Shampoo), arXiv:1802.09568; pytorch_optimizer")
@dataclass(frozen=True)
class Shampoo(Direction):
    """u = L^(−1/4)·m·R^(−1/4) with L ← L + g·gᵀ, R ← R + gᵀ·g from ε·I: full-matrix AdaGrad, factored over the axes.

    A tensor with k axes has k matrices, each to the power −1/(2k); a vector (k = 1) gets full-matrix AdaGrad, a scalar AdaGrad.
    Sums never forget, so steps shrink as 1/√t. An axis longer than `max_size` has no matrix. Powers come from an
    eigendecomposition in double precision; eigenvalues that rounding put below ε count as ε. State: twice Σn² numbers over the
    axes, ``factors`` and ``roots``, flat. There is no grafting: lr has the unit of p, and is not Adam's.

    Args:
        eps: ε, in the unit of g².
        every: steps between two computations of the powers, the costly part.
        max_size: longest axis that gets a matrix.
        num: name of the moment that is preconditioned, or None for the first one, or the gradient.
    """

    eps: Positive = 1e-6
    every: Count = 1
    max_size: MaxSize = 10_000
    num: str | None = None

    scope: ClassVar[Scope] = "matrix"
    events: ClassVar[frozenset[str]] = frozenset({"renew"})

    def slots(self) -> Mapping[str, Start]:
        """The matrices and their powers."""
        return {
            "factors": partial(_start, max_size=self.max_size, scale=self.eps),
            "roots": partial(_start, max_size=self.max_size, scale=1.0),
        }

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """ε, and whether the powers are computed anew; always in the first step."""
        return {"eps": self.eps, "renew": float((tick.t - 1) % self.every == 0)}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return m times the power of every axis."""
        sizes = _sizes(c.p, self.max_size)
        g, m = (x.reshape(x.shape or (1,)) for x in (c.g, c.numerator(self.num).hat))
        old = unpack(c.load("factors"), sizes)
        factors: Factors = [None if x is None else x + gram(g, axis) for axis, x in enumerate(old)]
        roots = unpack(c.load("roots"), sizes)
        if h["renew"]:
            roots = [None if x is None else _root(x, -0.5 / len(factors), h["eps"]) for x in factors]
        c.save("factors", pack(factors, g))
        c.save("roots", pack(roots, g))
        return along(m, roots).reshape(c.p.shape)


def _sizes(p: Tensor, max_size: int) -> list[int]:
    return [n if n <= max_size else 0 for n in p.shape or (1,)]


def _start(p: Tensor, max_size: int, scale: float) -> Tensor:
    return start(p, _sizes(p, max_size), scale)


def _root(x: Tensor, power: float, floor: Scalar) -> Tensor:
    """Return the symmetric x to a power."""
    values, vectors = eigen(x)
    return ((vectors * values.clamp_min(floor) ** power) @ vectors.mT).to(x.dtype)
