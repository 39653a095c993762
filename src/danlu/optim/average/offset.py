"""An average kept as its distance from the parameter, which a narrow store keeps much nearer than the average itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.average.running import AbstractRunning
from danlu.optim.average.swa import Polynomial
from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Average
from danlu.optim.values import Scalars, Start

__all__ = ["Offset"]

_MEAN = Polynomial()


@piece(source="docs/furnace.md")
@dataclass(frozen=True)
class Offset(Average):
    """d ← (1 − w)·(d + p_old − p), E = p + d: any running mean, with the same weights w, kept as what it is beside p.

    In exact arithmetic it is that mean. A store rounds d, which is a few hundredths of p, and not E: in bfloat16 E then has
    some ten times the digits. E follows p where something else moves it between two steps. Parameters narrower than float32
    are taken as rounded to nearest; under `write` pieces, which round otherwise, give the mean itself a wide store. Buffers
    are averaged by the mean itself. 4 bytes per parameter, 2 in bfloat16; state key ``offset``.

    Args:
        of: the mean.
    """

    of: AbstractRunning = _MEAN

    @property
    def alone(self) -> Average:
        """The mean itself: what is no parameter moves between the steps."""
        return self.of

    def slots(self) -> Mapping[str, Start]:
        """d."""
        return {"offset": 0.0}

    def follow(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return p; keep d."""
        kept = p.to(c.dtype).to(p.dtype)
        c.save("offset", (c.load("offset") + c.p - kept) * (1.0 - h["new"]))
        return p

    def point(self, p: Tensor, slots: Mapping[str, Tensor]) -> Tensor:
        """Return E."""
        return p + slots["offset"]
