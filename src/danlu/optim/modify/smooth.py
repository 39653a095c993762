"""A moment of the direction itself: momentum after the denominator, or after lr."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Modify, Moment
from danlu.optim.values import Scalars, Start

__all__ = ["Smooth"]


@piece(source="RMSProp with momentum (torch.optim.RMSprop); Sutskever et al. 2013 for the form after lr")
@dataclass(frozen=True)
class Smooth(Modify):
    """u ← reading of a moment that is fed u: momentum over what the rule would have done.

    In a rule's `modify` it smooths the direction and lr multiplies the whole history; in `after_lr` it smooths the step, so
    that each gradient keeps the lr of its own day (source 002, Keras). With a constant lr the two agree.

    Args:
        moment: the recursion, such as ``moment.HeavyBall(0.9)``.
        name: its state key.
    """

    moment: Moment
    name: str = "momentum_buffer"

    def slots(self) -> Mapping[str, Start]:
        """The moment's slots."""
        return self.moment.slots(self.name)

    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the moment's reading of u."""
        return c.run(self.name, self.moment, u, h).hat
