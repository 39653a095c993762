"""The numbers of one step: computed once on the host, used by name when eager and packed in a kernel."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.values import Scalars, Tick

__all__ = ["Numbers", "Settled"]

Settled = Mapping[str, Mapping[str, Tensor | float]]  # what measures came to: path of the piece -> name -> number


class Numbers:
    """Every scalar of a rule at one tick, in double precision; what its measures settled follows at the end.

    Args:
        rule: the rule with its numbers.
        tick: the step, with lr after the rate pieces.
        settled: the numbers of the measures that are settled so far; the missing ones read 1.
    """

    def __init__(self, rule: Rule, tick: Tick, settled: Settled) -> None:
        self.tick = tick
        self._rule = rule
        self._floats = rule.scalars(tick)
        self._totals = [settled.get(path, {}).get(name, 1.0) for path, piece in rule.measures.items() for name in piece.settles]
        self._packed: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        self._bound: dict[torch.dtype, Mapping[str, Scalars]] = {}

    @cached_property
    def remembered(self) -> Mapping[str, float]:
        """The host numbers of the tensor to keep after the step."""
        return self._rule.remember(self.tick) if self._rule.memory else {}

    @cached_property
    def tail(self) -> Numbers:
        """The numbers of what follows the direction; the rule has a tail."""
        assert self._rule.tail is not None
        return Numbers(self._rule.tail, self.tick, {})

    def bound(self, dtype: torch.dtype) -> Mapping[str, Scalars]:
        """The numbers by piece and name; totals in the compute dtype, because a float64 one would widen a scalar parameter."""
        if dtype not in self._bound:
            totals = [x.to(dtype) if isinstance(x, Tensor) else x for x in self._totals]
            self._bound[dtype] = self._rule.structure.bind([*self._floats, *totals])
        return self._bound[dtype]

    def packed(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The numbers as one vector, in the order of the rule's layout."""
        key = (dtype, device)
        if key not in self._packed:
            away = {i: x for i, x in enumerate(self._totals) if isinstance(x, Tensor) and x.device.type != "cpu"}
            floats = [1.0 if i in away else float(x) for i, x in enumerate(self._totals)]
            numbers = array("d" if dtype == torch.float64 else "f", [*self._floats, *floats])
            h = torch.frombuffer(numbers, dtype=dtype).to(device)  # without a copy: torch.tensor takes longer than a kernel
            for i, total in away.items():  # without waiting for the device
                h[len(self._floats) + i].copy_(total)
            self._packed[key] = h
        return self._packed[key]
