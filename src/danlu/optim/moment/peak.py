"""The running maximum of another moment: AMSGrad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Moment, Reading, Scalars, Signal, Start, Tick

__all__ = ["Peak"]


@piece(source="Reddi, Kale, Kumar 2018 (AMSGrad), arXiv:1904.09237; torch.optim")
@dataclass(frozen=True)
class Peak(Moment):
    """x ← max(x, v): the largest value that a moment ever had, read with that moment's bias correction.

    The maximum is taken over the raw moment and corrected after, as in torch and Keras; the paper has no correction
    (``Ema(..., debias=False)`` gives that), optax takes the maximum of corrected values. One early spike keeps a coordinate's
    step small for ever. 4 bytes per parameter beside the moment's own; state key ``max_<name>``.

    Args:
        moment: the moment whose maximum is kept.
    """

    moment: Moment

    @property
    def signal(self) -> Signal:
        """The unit of the moment."""
        return self.moment.signal

    def slots(self, name: str) -> Mapping[str, Start]:
        """The moment's slots and the maximum."""
        return {**self.moment.slots(name), f"max_{name}": 0.0}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The moment's numbers."""
        return self.moment.scalars(tick)

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the moment's state and max(x, v)."""
        new = self.moment.update(name, g, old, c, h)
        return {**new, f"max_{name}": torch.maximum(old[f"max_{name}"], new[name])}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return the maximum in place of the moment."""
        return self.moment.read(name, g, old, new, c, h)._replace(raw=new[f"max_{name}"])
