"""SOAP: Adam in the eigenbasis of Shampoo's matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.direction.kronecker import Factors, MaxSize, along, gram, pack, start, unpack
from danlu.optim.formulas.bias import adam_scale
from danlu.optim.formulas.eigen import eigen
from danlu.optim.piece import Direction
from danlu.optim.values import Scalars, Scope, Start, Tick
from danlu.ranges import Beta, Count, Positive

__all__ = ["Soap"]


@piece(source="Vyas et al. 2024 (SOAP), arXiv:2409.11321; the authors' code of December 2024")
@dataclass(frozen=True)
class Soap(Direction):
    """u = Q·(m̂′/(√v̂ + ε̂))·Pᵀ with m′ = Qᵀ·m·P, v ← EMA((Qᵀ·g·P)²), Q and P eigenvectors of EMA(g·gᵀ) and EMA(gᵀ·g).

    Adam with axes turned to where the gradient's covariance is diagonal, so it does not matter in which basis the weights
    stand. The first gradient makes the bases and nothing else: no step, no decay. From then on, every so often, after the step,
    each basis takes one step of orthogonal iteration (Q ← qr(H·Q), columns by falling qᵀHq; v follows their order). m is kept
    unturned, which equals the authors' turning it along. ε is added before the bias correction.

    Vectors and scalars are Adam. An axis longer than `max_size` is not turned. State keys ``soap_avg``, ``soap_avg_sq``,
    ``factors`` and ``bases``: 8 bytes per parameter, and twice Σn² numbers over the axes. Eigenvectors are not unique: over
    many steps two machines agree in quality, not in digits.

    Args:
        betas: memories of m and v.
        shampoo_beta: memory of the matrices; None for that of v.
        eps: ε.
        every: steps between two iterations of the bases, the costly part.
        max_size: longest axis that is turned.
        precondition_1d: turn vectors too.
    """

    betas: tuple[Beta, Beta] = (0.95, 0.95)
    shampoo_beta: Beta | None = None
    eps: Positive = 1e-8
    every: Count = 10
    max_size: MaxSize = 10_000
    precondition_1d: bool = False

    scope: ClassVar[Scope] = "matrix"
    events: ClassVar[frozenset[str]] = frozenset({"first", "iterate"})

    def slots(self) -> Mapping[str, Start]:
        """The averages, the matrices and the bases."""
        packed = partial(_start, max_size=self.max_size, vectors=self.precondition_1d)
        return {"soap_avg": 0.0, "soap_avg_sq": 0.0, "factors": partial(packed, scale=0.0), "bases": partial(packed, scale=1.0)}

    def magnitudes(self) -> frozenset[str]:
        """The averaged squares."""
        return frozenset({"soap_avg_sq"})

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weights of what is new, the bias corrections, and what happens to the bases in this step."""
        n = tick.t - 1  # gradients that have entered the averages: the first one does not
        beta1, beta2 = self.betas
        weights = {"new": 1.0 - beta1, "new_sq": 1.0 - beta2, "eps": self.eps}
        weights["new_factor"] = 1.0 - (beta2 if self.shampoo_beta is None else self.shampoo_beta)
        scale = adam_scale(beta1, beta2, n) if n else 0.0
        return {**weights, "scale": scale, "first": float(n == 0), "iterate": float(n > 0 and n % self.every == 0)}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return Adam's direction, turned back."""
        sizes = _sizes(c.p, self.max_size, self.precondition_1d)
        m, v, u = c.load("soap_avg"), c.load("soap_avg_sq"), torch.zeros_like(c.p)
        bases = unpack(c.load("bases"), sizes)
        if h["first"]:
            c.scale_lr(0.0)
        else:
            turned = along(c.g, bases)
            m, v = m + (c.g - m) * h["new"], v + (turned * turned - v) * h["new_sq"]
            u = along(along(m, bases) / (v.sqrt() + h["eps"]), bases, transpose=True) * h["scale"]
        old = unpack(c.load("factors"), sizes)
        factors: Factors = [None if x is None else x + (gram(c.g, i) - x) * h["new_factor"] for i, x in enumerate(old)]
        if h["first"]:
            bases = [None if x is None else _eigenvectors(x) for x in factors]
        elif h["iterate"]:
            v, bases = _iterated(v, bases, factors)
        for slot, x in {"soap_avg": m, "soap_avg_sq": v, "factors": pack(factors, c.g), "bases": pack(bases, c.g)}.items():
            c.save(slot, x)
        return u


def _sizes(p: Tensor, max_size: int, vectors: bool) -> list[int]:
    return [n if n <= max_size and (vectors or p.ndim > 1) else 0 for n in p.shape]


def _start(p: Tensor, max_size: int, vectors: bool, scale: float) -> Tensor:
    return start(p, _sizes(p, max_size, vectors), scale)


def _eigenvectors(x: Tensor) -> Tensor:
    """Return the eigenvectors as columns, the largest eigenvalue's first."""
    return eigen(x)[1].flip(1).to(x.dtype)


def _iterated(v: Tensor, bases: Factors, factors: Factors) -> tuple[Tensor, Factors]:
    """Return v in the new order of the columns, and the bases after one orthogonal iteration."""
    new: Factors = []
    for axis, (q, x) in enumerate(zip(bases, factors, strict=True)):
        if q is None or x is None:
            new.append(None)
            continue
        moved = x @ q
        order = (q * moved).sum(0).argsort(descending=True)
        v = v.index_select(axis, order)
        new.append(torch.linalg.qr(moved[:, order])[0])
    return v, new
