"""The numbers of one step: computed once on the host, used by name when eager and packed in a kernel."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.values import Scalars, Tick

__all__ = ["Numbers", "Settled", "Vector", "code_of"]

Settled = Mapping[str, Mapping[str, Tensor | float]]  # what measures came to: path of the piece -> name -> number


class Numbers:
    """Every scalar of a rule at one tick, in double precision; what its measures settled follows at the end.

    Args:
        rule: the rule with its numbers.
        tick: the step, with lr after the rate pieces.
        settled: the numbers of the measures that are settled so far; the missing ones read 1.

    Attributes:
        rule: the rule.
        tick: the step.
        t: its number.
        floats: the numbers that the host makes, in the order of the rule's layout; what measures settle follows them.
    """

    def __init__(self, rule: Rule, tick: Tick, settled: Settled) -> None:
        self.rule, self.tick, self.t = rule, tick, tick.t
        self.floats = rule.scalars(tick)
        self._totals = [settled.get(path, {}).get(name, 1.0) for path, name in rule.settling]
        self._packed: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        self._bound: dict[torch.dtype, Mapping[str, Scalars]] = {}

    @cached_property
    def remembered(self) -> Mapping[str, float]:
        """The host numbers of the tensor to keep after the step."""
        return self.rule.remember(self.tick) if self.rule.memory else {}

    @cached_property
    def tail(self) -> Numbers:
        """The numbers of what follows the direction; the rule has a tail."""
        assert self.rule.tail is not None
        return Numbers(self.rule.tail, self.tick, {})

    def bound(self, dtype: torch.dtype) -> Mapping[str, Scalars]:
        """The numbers by piece and name; totals in the compute dtype, because a float64 one would widen a scalar parameter."""
        if dtype not in self._bound:
            totals = [x.to(dtype) if isinstance(x, Tensor) else x for x in self._totals]
            self._bound[dtype] = self.rule.structure.bind([*self.floats, *totals])
        return self._bound[dtype]

    def read(self) -> list[float]:
        """Every number on the host, in the order of the rule's layout; waits for a device that has one of them."""
        return [*self.floats, *map(float, self._totals)]

    def packed(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The numbers as one vector, in the order of the rule's layout."""
        key = (dtype, device)
        if key not in self._packed:
            away = {i: x for i, x in enumerate(self._totals) if isinstance(x, Tensor) and x.device.type != "cpu"}
            floats = [1.0 if i in away else float(x) for i, x in enumerate(self._totals)]
            numbers = array(code_of(dtype), [*self.floats, *floats])
            h = torch.frombuffer(numbers, dtype=dtype)  # without a copy: torch.tensor takes longer than a kernel
            h = h.to(device, non_blocking=True)  # from memory that is not pinned: it has been read when this returns
            for i, total in away.items():  # without waiting for the device
                h[len(self.floats) + i].copy_(total)
            self._packed[key] = h
        return self._packed[key]


class Vector:
    """A packed vector in host memory that is written anew for each step: making one takes longer.

    For kernels of the CPU, which have read it when the next numbers are written.

    Args:
        length: of the vector.
        dtype: float32 or float64.
    """

    def __init__(self, length: int, dtype: torch.dtype) -> None:
        self._memory = array(code_of(dtype), [0.0]) * length
        self._h = torch.frombuffer(self._memory, dtype=dtype)

    def written(self, numbers: Numbers) -> Tensor:
        """Return the vector with these numbers in it."""
        self._memory[:] = array(self._memory.typecode, numbers.read())  # of one length, so the memory stays where it is
        return self._h


def code_of(dtype: torch.dtype) -> Literal["d", "f"]:
    """The letter of a dtype in the module array."""
    return "d" if dtype == torch.float64 else "f"
