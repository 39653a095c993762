"""The numbers of one step: computed once on the host, used by name when eager and packed in a kernel."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from functools import cached_property
from typing import TypeGuard

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

    Attributes:
        t: number of the step.
    """

    def __init__(self, rule: Rule, tick: Tick, settled: Settled) -> None:
        self.t = tick.t
        self._tick, self._rule = tick, rule
        self._floats = rule.scalars(tick)
        self._totals = [settled.get(path, {}).get(name, 1.0) for path, name in rule.settling]
        self._packed: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        self._bound: dict[torch.dtype, Mapping[str, Scalars]] = {}

    @cached_property
    def remembered(self) -> Mapping[str, float]:
        """The host numbers of the tensor to keep after the step."""
        return self._rule.remember(self._tick) if self._rule.memory else {}

    def bound(self, dtype: torch.dtype) -> Mapping[str, Scalars]:
        """The numbers by piece and name; totals in the compute dtype, because a float64 one would widen a scalar parameter."""
        if dtype not in self._bound:
            totals = [x.to(dtype) if isinstance(x, Tensor) else x for x in self._totals]
            self._bound[dtype] = self._rule.structure.bind([*self._floats, *totals])
        return self._bound[dtype]

    def packed(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The numbers as one vector, in the order of the rule's layout."""
        key = (dtype, device)
        if (h := self._packed.get(key)) is None:
            floats = [*self._floats, *[1.0 if _away(x) else float(x) for x in self._totals]]
            numbers = array("d" if dtype == torch.float64 else "f", floats)
            h = torch.frombuffer(numbers, dtype=dtype)  # without a copy: torch.tensor takes longer than a kernel
            h = self._packed[key] = h if device.type == "cpu" else h.to(device)
            for i, x in enumerate(self._totals, len(self._floats)):
                if _away(x):  # without waiting for the device
                    h[i].copy_(x)
        return h


def _away(x: Tensor | float) -> TypeGuard[Tensor]:
    """Whether reading the number here would wait for a device."""
    return isinstance(x, Tensor) and x.device.type != "cpu"
