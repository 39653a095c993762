"""What passes between the host, the pieces and the tensors: signals, readings, ticks, and the types of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import Tensor

__all__ = [
    "Kept",
    "Need",
    "Reading",
    "Reduction",
    "Scalar",
    "Scalars",
    "Scope",
    "Sight",
    "Signal",
    "Start",
    "Tick",
    "absolute",
    "found_under",
    "gradient",
    "itself",
    "single_zero",
    "square",
    "under",
]

Scalar: TypeAlias = float | Tensor  # a host number when eager, an element of the packed vector h in a kernel
Scalars: TypeAlias = Mapping[str, Scalar]
Scope: TypeAlias = Literal["element", "tensor", "matrix", "model"]  # from narrow to wide
Sight: TypeAlias = Literal["elements", "rows", "axes", "shape"]  # from little to much
Reduction: TypeAlias = Literal["sum", "max"]
Kept: TypeAlias = Any  # float | Tensor, or a tuple of floats such as a history; Any, so that arithmetic needs no cast
Need: TypeAlias = Literal["grad", "loss", "closure"]
Start: TypeAlias = float | Callable[[Tensor], Tensor]  # one value everywhere, or made from the parameter (any shape)


class Signal(Enum):
    """Which function of the gradient a moment averages: g, g² or |g|."""

    GRADIENT = "gradient"
    SQUARE = "square"
    ABSOLUTE = "absolute"

    def __call__(self, g: Tensor) -> Tensor:
        """Return the signal of g."""
        if self is Signal.SQUARE:
            return g * g
        return g.abs() if self is Signal.ABSOLUTE else g

    def __repr__(self) -> str:
        return self.value


gradient, square, absolute = Signal.GRADIENT, Signal.SQUARE, Signal.ABSOLUTE


class Tick(NamedTuple):
    """What the host knows about one step of one tensor.

    Args:
        t: number of this tensor's step, from 1.
        lr: learning rate in force, after the rule's rate pieces.
        peak_lr: the group's reference learning rate (its ``peak_lr`` key).
        memory: host numbers that pieces keep per tensor between steps, by state key.
        shared: host numbers (or tuples of them) that pieces keep per group between steps, as they are in this step.
        loss: the loss that the step was given, or nan.
    """

    t: int
    lr: float
    peak_lr: float
    memory: Mapping[str, float] = MappingProxyType({})
    shared: Mapping[str, Kept] = MappingProxyType({})
    loss: float = math.nan


class Reading(NamedTuple):
    """A moment as a direction reads it: the raw value and the factors that remove its bias towards the start value."""

    raw: Tensor
    of: Signal = gradient
    debias: Scalar = 1.0
    root_debias: Scalar = 1.0

    @property
    def hat(self) -> Tensor:
        """The bias-corrected value, m̂ = m/(1 − βᵗ)."""
        return self.raw * self.debias

    @property
    def root(self) -> Tensor:
        """The magnitude in units of the gradient: √v̂ for a second moment, the value itself otherwise."""
        return self.raw.sqrt() * self.root_debias if self.of is Signal.SQUARE else self.hat


def itself(p: Tensor) -> Tensor:
    """The start of a slot that begins as a copy of the parameter."""
    return p


def single_zero(p: Tensor) -> Tensor:
    """The start of a slot that holds one number per tensor, 0."""
    return p.new_zeros(())


def under(label: str, numbers: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers of a part, each named ``label.name``, so that those of two parts do not meet."""
    return {f"{label}.{name}": x for name, x in numbers.items()}


def found_under(label: str, h: Scalars) -> dict[str, Scalar]:
    """Return what `under` had named so, by the part's own names."""
    return {name.removeprefix(f"{label}."): x for name, x in h.items() if name.startswith(f"{label}.")}
