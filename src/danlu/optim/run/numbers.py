"""The numbers of one step: computed once on the host, used by name when eager and packed in a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from danlu.optim.piece import Scalars, Tick
from danlu.optim.rule import Rule

__all__ = ["Numbers"]


class Numbers:
    """Every scalar of a rule at one tick, in double precision; the settled totals of its measures follow at the end.

    Args:
        rule: the rule with its numbers.
        tick: the step.
        totals: one 0-d tensor per measure that is settled so far; the missing ones read 1.
    """

    def __init__(self, rule: Rule, tick: Tick, totals: Sequence[Tensor]) -> None:
        self.tick = tick
        self._rule = rule
        self._floats = rule.scalars(tick)
        self._totals = totals
        self._packed: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        self._bound: Mapping[str, Scalars] | None = None

    def bound(self) -> Mapping[str, Scalars]:
        """The numbers by piece and name."""
        if self._bound is None:
            missing = [1.0] * (len(self._rule.measures) - len(self._totals))
            self._bound = self._rule.bind([*self._floats, *self._totals, *missing], self._rule.layout)
        return self._bound

    def packed(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The numbers as one vector, in the order of the rule's layout."""
        key = (dtype, device)
        if key not in self._packed:
            h = torch.tensor([*self._floats, *(1.0 for _ in self._totals)], dtype=dtype, device=device)
            for i, total in enumerate(self._totals, start=len(self._floats)):
                h[i].copy_(total)
            self._packed[key] = h
        return self._packed[key]
