"""The running maximum of another moment: AMSGrad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.moment.over import AbstractOver
from danlu.optim.values import Reading, Scalars, Start

__all__ = ["Peak"]


@piece(source="Reddi, Kale, Kumar 2018 (AMSGrad), arXiv:1904.09237; torch.optim")
@dataclass(frozen=True)
class Peak(AbstractOver):
    """x ← max(x, v): the largest value that a moment ever had, read with that moment's bias correction.

    The maximum is taken over the raw moment and corrected after, as in torch and Keras; `hat` corrects before, as in optax,
    and is stricter: the early corrections are the largest and stay in the maximum. The paper has no correction at all
    (``Ema(..., debias=False)``). One early spike keeps a coordinate's step small for ever. 4 bytes per parameter beside the
    moment's own; state key ``max_<name>``.

    Args:
        moment: the moment whose maximum is kept.
        hat: keep the maximum of the bias-corrected values.
    """

    hat: bool = False

    @property
    def exact_at_first(self) -> bool:
        """No: the peak is what is read, in both signs."""
        return False

    def slots(self, name: str) -> Mapping[str, Start]:
        """The moment's slots and the maximum."""
        return {**self.moment.slots(name), f"max_{name}": 0.0}

    def magnitudes(self, name: str) -> frozenset[str]:
        """The moment's magnitudes, and the maximum of a magnitude."""
        found = self.moment.magnitudes(name)
        return found | {f"max_{name}"} if name in found else found

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the moment's state and max(x, v)."""
        new = self.moment.update(name, g, old, c, h)
        v = self.moment.read(name, g, old, new, c, h).hat if self.hat else new[name]
        return {**new, f"max_{name}": torch.maximum(old[f"max_{name}"], v)}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return the maximum in place of the moment."""
        x = new[f"max_{name}"]
        return Reading(x, self.signal) if self.hat else self.moment.read(name, g, old, new, c, h)._replace(raw=x)
