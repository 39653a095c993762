"""Muon's direction: the nearest orthogonal matrix, roughly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Direction
from danlu.optim.values import Scalar, Scalars, Scope, Tick
from danlu.ranges import AnyNumber, Interval, Positive, Structural

__all__ = ["Coefficients", "NewtonSchulzSteps", "Orthogonal", "OrthogonalScale", "newton_schulz"]

Coefficients: TypeAlias = tuple[AnyNumber, AnyNumber, AnyNumber]
NewtonSchulzSteps = Annotated[int, Interval(1, 100), Structural()]
OrthogonalScale: TypeAlias = Literal["original", "match_rms_adamw", "unit_rms", "none"]


@piece(source="Jordan et al. 2024 (Muon); Liu et al. 2025 (Moonlight), arXiv:2502.16982, for match_rms_adamw; torch.optim.Muon")
@dataclass(frozen=True)
class Orthogonal(Direction):
    """u = s·U·Vᵀ, roughly, for m = U·Σ·Vᵀ: every singular value of the momentum becomes about 1, whatever its size.

    A tensor (O, …) counts as the matrix (O, rest), a vector as a matrix of one column: its u is s·0.7·m/‖m‖. Scale invariant.
    Five Newton-Schulz steps leave singular values in [0.68, 1.13], by design; the exact U·Vᵀ is not what a test should ask for.
    Embeddings, output heads, biases and gains are better left to another rule (``groups`` gives them one). Float32 tensors on
    an accelerator are iterated in bfloat16, as in the authors' code, others in their own dtype. A zero momentum gives zero.

    Args:
        scale: s for R rows and C columns: "original" √max(1, R/C); "match_rms_adamw" 0.2·√max(R, C), under which lr and weight
            decay of AdamW can be kept; "unit_rms" √max(R, C), so that RMS(u) is about 1; "none" 1. The authors' code takes R
            and C of a convolution's kernel; here they are those of the matrix.
        steps: Newton-Schulz steps.
        coefficients: a, b, c of X ← a·X + (b·A + c·A²)·X, A = X·Xᵀ.
        eps: added to ‖m‖, in the unit of g: momenta far below it vanish.
        num: name of the moment to use instead of the first one.
    """

    scale: OrthogonalScale = "original"
    steps: NewtonSchulzSteps = 5
    coefficients: Coefficients = (3.4445, -4.7750, 2.0315)
    eps: Positive = 1e-7
    num: str | None = None

    scope: ClassVar[Scope] = "matrix"
    reads_on_host: ClassVar[frozenset[str]] = frozenset({"a", "b", "c"})

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """a, b, c and ε."""
        a, b, c = self.coefficients
        return {"a": a, "b": b, "c": c, "eps": self.eps}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return s·NS(m)."""
        return self.jointly([c], h)[0]

    def jointly(self, cs: Sequence[Context], h: Scalars) -> list[Tensor]:
        """Return s·NS(m) of several tensors; matrices of equal sides are iterated as one batch, upright or not."""
        ms = [c.numerator(self.num).raw for c in cs]
        us = [*ms]
        alike: dict[tuple[int, ...], list[int]] = {}
        for i, m in enumerate(ms):
            if m.numel():
                alike.setdefault(tuple(sorted(_sides(m))), []).append(i)
        for places in alike.values():
            wide = [_wide(ms[i]) for i in places]
            dtype = torch.bfloat16 if wide[0].dtype == torch.float32 and wide[0].device.type != "cpu" else wide[0].dtype
            found = newton_schulz(torch.stack(wide), self.steps, (h["a"], h["b"], h["c"]), h["eps"], dtype)
            for i, x in zip(places, found, strict=True):
                rows, columns = _sides(ms[i])
                us[i] = (x.mT if rows > columns else x).reshape(ms[i].shape) * self._size(rows, columns)
        return us

    def _size(self, rows: int, columns: int) -> float:
        """s."""
        unit = max(rows, columns) ** 0.5
        sizes = {"original": max(1.0, rows / columns) ** 0.5, "match_rms_adamw": 0.2 * unit, "unit_rms": unit, "none": 1.0}
        return sizes[self.scale]


def _sides(m: Tensor) -> tuple[int, int]:
    rows = len(m) if m.ndim else 1
    return rows, m.numel() // rows


def _wide(m: Tensor) -> Tensor:
    """The matrix (O, rest), or its transpose, with no more rows than columns: XXᵀ is the smaller Gram matrix then."""
    rows, columns = _sides(m)
    x = m.reshape(rows, columns)
    return x.mT if rows > columns else x


def newton_schulz(
    x: Tensor, steps: int, coefficients: tuple[Scalar, Scalar, Scalar], eps: Scalar, dtype: torch.dtype | None = None
) -> Tensor:
    """Return X after X ← X/(‖X‖ + ε) and `steps` times X ← a·X + (b·A + c·A²)·X with A = X·Xᵀ.

    Every step multiplies from the left by a polynomial in A, and all of these commute. Where n ≥ 2m, and in more digits than
    bfloat16's, they are therefore multiplied up on the side of m, P ← (a + W)·P, A ← (a + W)²·A with W = b·A + c·A², and X is
    met twice instead of twice a step (Zhang et al. 2026, Gram Newton-Schulz): 0.6 of the multiplications at n = 4m. In float32
    X then differs by up to 3e-4 of its norm where singular values span seven decades, and in the last digits where they do not.

    Args:
        x: X of shape (batch, m, n); m ≤ n is the cheaper way.
        steps: number of steps.
        coefficients: a, b, c.
        eps: ε.
        dtype: what the steps are computed in; None for that of x.
    """
    a, b, c = map(float, coefficients)  # host numbers: a rule that multiplies matrices has no kernel
    y = (x / (torch.linalg.matrix_norm(x, keepdim=True) + eps)).to(dtype or x.dtype)
    rows, columns = y.shape[-2:]
    if columns >= 2 * rows and y.dtype in {torch.float32, torch.float64}:
        return (_multiplied(y @ y.mT, steps, a, b, c) @ y).to(x.dtype)
    for _ in range(steps):
        gram = y @ y.mT
        y = torch.baddbmm(y, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), y, beta=a)
    return y.to(x.dtype)


def _multiplied(gram: Tensor, steps: int, a: float, b: float, c: float) -> Tensor:
    """Return P with P·X for what `steps` steps make of X, from A = X·Xᵀ."""
    product = a * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    for step in range(steps):
        w = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        product = torch.baddbmm(product, w, product, beta=a) if step else product + w
        if step + 1 < steps:
            once = torch.baddbmm(gram, w, gram, beta=a)
            gram = torch.baddbmm(once, w, once, beta=a)
    return product
