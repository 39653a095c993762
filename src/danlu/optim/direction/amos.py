"""Amos: step, decay and their slowing down from one second moment per block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.blocks import Blocks, block_mean, block_zeros
from danlu.optim.piece import Direction
from danlu.optim.values import Scalar, Scalars, Scope, Sight, Start, Tick
from danlu.ranges import NonNegative, Positive

__all__ = ["Amos"]

_TINY = 2.0**-125  # the authors' floor of v, twice the smallest normal number of float32


@piece(source="Tian & Parikh 2022, arXiv:2210.11693; google-research/jestimator")
@dataclass(frozen=True)
class Amos(Direction):
    """u = d·(η·g/√v̂ + (γ/2 + l)·p/lr), γ = c·lr²·ḡ²/v̂, B ← B + γ·(1 + B), c = (1 + √lr·B/4)^−½, d = 1/(1 + √(lr·η)·B/4).

    ḡ² is the block's mean of g². The decay γ/2 belongs to the rule (add no other), follows the gradient's noise, and makes both
    step and decay fall with time through B. v̂ is the block's mean of a moment, whose store may be ``store.BlockMean``. The
    first step is lr·η·g/RMS(g). 4 bytes per block.

    Args:
        eta: η, the size that the weights are to have; None for 1/2 of a scalar or a vector and √(2/fan-in) of the rest.
        extra_l2: l, a decay that does not follow the gradient; not multiplied by lr.
        blocks: "row" or "tensor", the blocks of ḡ² and B.
        den: name of the second moment, or None for the first one.
    """

    eta: Positive | None = None
    extra_l2: NonNegative = 0.0
    blocks: Blocks = "tensor"
    den: str | None = None

    scope: ClassVar[Scope] = "tensor"
    wants_scale: ClassVar[bool] = True

    @property
    def sees(self) -> Sight:
        """Rows against the rest."""
        return "rows"

    def slots(self) -> Mapping[str, Start]:
        """B, a number per block, from 0."""
        return {"decay_sum": partial(block_zeros, blocks=self.blocks)}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """lr, l/lr, t and η."""
        extra = self.extra_l2 / tick.lr if tick.lr else 0.0
        return {"lr": tick.lr, "extra": extra, "t": float(tick.t), **({} if self.eta is None else {"eta": self.eta})}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return u, and keep B."""
        lr, eta = h["lr"], self._eta(c.p, h)
        b, v, g2 = c.load("decay_sum"), c.denominator(self.den), block_mean(c.g * c.g, self.blocks)
        # An average of g² is never below ḡ²/t; other magnitudes may be, and one such step would end all others through B.
        w = 1.0 / torch.maximum(block_mean(v.raw, self.blocks).clamp_min(_TINY) * v.debias, g2 / h["t"])
        noise = (b * lr**0.5 / 4.0 + 1.0).rsqrt() * lr * w * g2  # γ/lr
        slow = 1.0 / (b * (lr * eta) ** 0.5 / 4.0 + 1.0)
        c.save("decay_sum", b + noise * lr * (b + 1.0))
        return slow * (c.g * w.sqrt() * eta + c.p * (noise / 2.0 + h["extra"]))

    @staticmethod
    def _eta(p: Tensor, h: Scalars) -> Scalar:
        if "eta" in h:
            return h["eta"]
        return 0.5 if p.ndim < 2 else (2.0 / max(p.shape[1:].numel(), 1)) ** 0.5
