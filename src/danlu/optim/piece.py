"""The protocols of the pieces that optimizers are composed of, and what a piece may see.

A piece is a frozen dataclass for ONE tensor: pure, out of place, no loop over tensors, no ``.item()``. Its work has two phases.

1. On the host, in double precision, once per step: `scalars(tick)` turns hyper-parameters, learning rate and step count into
   named numbers (``1 − β``, ``1/(1 − βᵗ)``).
2. On the tensor: the piece's law, which reads those numbers from the mapping ``h`` and never from its own fields. The engine
   erases the numeric fields before this phase (`structure`), so a law that cheats sees nan at once. That is why a changing
   lr, beta or step never recompiles a kernel.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeAlias, get_args

from torch import Tensor

from danlu.ranges import Interval, Structural, check, hints

__all__ = [
    "Codec",
    "Context",
    "Decay",
    "Direction",
    "GradPiece",
    "Measured",
    "Modify",
    "Moment",
    "Need",
    "Piece",
    "Rate",
    "Reading",
    "Reduction",
    "Scalar",
    "Scalars",
    "Scope",
    "Signal",
    "Tick",
    "absolute",
    "gradient",
    "square",
]

Scalar: TypeAlias = float | Tensor  # a host number when eager, an element of the packed vector h in a kernel
Scalars: TypeAlias = Mapping[str, Scalar]
Scope: TypeAlias = Literal["element", "tensor", "matrix", "model"]
Reduction: TypeAlias = Literal["sum", "max"]
Need: TypeAlias = Literal["grad", "loss", "closure"]


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


@dataclass(frozen=True)
class Tick:
    """What the host knows about one step of one tensor.

    Args:
        t: number of this tensor's step, from 1.
        lr: learning rate in force, after the rule's rate pieces.
        peak_lr: the group's reference learning rate (its ``peak_lr`` key).
        memory: host numbers that pieces keep between steps, by state key.
    """

    t: int
    lr: float
    peak_lr: float
    memory: Mapping[str, float] = field(default_factory=dict)


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


class Piece(ABC):  # noqa: B024 - a piece that needs none of the hooks is still no instance of Piece itself
    """One trick. A subclass is a final frozen dataclass whose annotations carry the ranges of its fields."""

    axis: ClassVar[str]  # the kind of piece, which is also its package
    scope: ClassVar[Scope] = "element"
    needs: ClassVar[frozenset[Need]] = frozenset({"grad"})
    memory: ClassVar[Mapping[str, float]] = {}  # host numbers kept between steps: state key -> first value

    def __post_init__(self) -> None:
        owner = f"{self.axis}.{type(self).__name__}"
        check(owner, _hints(type(self)), {f.name: getattr(self, f.name) for f in fields(self)})  # type: ignore[arg-type]

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The numbers that the law reads from ``h``, computed on the host in double precision."""
        return {}

    def remember(self, tick: Tick) -> Mapping[str, float]:
        """The new values of `memory` after this step."""
        return {}

    def brief(self) -> str:
        """The piece as one would write it: arguments that have their default are left out."""
        shown = [(f, getattr(self, f.name)) for f in fields(self)]  # type: ignore[arg-type]
        args = [f"{f.name}={x.brief() if isinstance(x, Piece) else repr(x)}" for f, x in shown if x != f.default]
        return f"{type(self).__name__}({', '.join(args)})"

    def structure(self) -> Self:
        """A copy whose numeric fields are nan: what shapes the computation, without what enters it as a scalar."""
        copy = object.__new__(type(self))
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            object.__setattr__(copy, f.name, _erased(value, f.name in _numeric(type(self))))
        return copy


class GradPiece(Piece):
    """Transforms the gradient before the moments see it."""

    axis: ClassVar[str] = "grad"

    @abstractmethod
    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the transformed gradient."""


class Measured(Piece):
    """A piece that needs one small quantity of all tensors before it can act.

    The engine calls `measure` on every tensor, reduces over tensors and ranks, calls `settle` once, and hands the result to the
    law as ``h["total"]``.
    """

    @property
    def reduction(self) -> Reduction:
        """How the shares of the tensors are joined."""
        return "sum"

    @abstractmethod
    def measure(self, g: Tensor, c: Context) -> Tensor:
        """Return this tensor's share as a 0-d float64 tensor."""

    @abstractmethod
    def settle(self, total: Tensor) -> Tensor:
        """Return the number that the law needs, from the reduced total."""


class Moment(Piece):
    """A recursion over the steps: new state from old state and the signal, and how a direction reads it."""

    axis: ClassVar[str] = "moment"

    @property
    def signal(self) -> Signal:
        """Which function of the gradient it holds, and so its unit."""
        return gradient

    def slots(self, name: str) -> Mapping[str, float]:
        """The state slots of a moment called `name`, with their start values."""
        return {name: 0.0}

    @abstractmethod
    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], h: Scalars) -> dict[str, Tensor]:
        """Return the new value of every slot, from the gradient (or whatever is smoothed) and the old values."""

    @abstractmethod
    def read(self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], h: Scalars) -> Reading:
        """Return what the direction sees."""


class Codec(Piece):
    """How one slot is kept between steps; `fresh` says whether a step reads the new value before it is encoded."""

    axis: ClassVar[str] = "store"
    fresh: ClassVar[bool] = True

    @abstractmethod
    def encode(self, x: Tensor) -> dict[str, Tensor]:
        """Return the stored parts of `x`, by suffix of the state key ("" for none)."""

    @abstractmethod
    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return the value in the shape and compute dtype of `like`."""


class Direction(Piece):
    """The unit-free (or gradient-unit) direction u from the readings; the step is −lr·u."""

    axis: ClassVar[str] = "direction"
    wants_scale: ClassVar[bool] = False  # whether it needs a second moment (or another magnitude)

    @abstractmethod
    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return u, with the shape of p."""


class Modify(Piece):
    """Changes the direction (before lr) or the step (after lr)."""

    axis: ClassVar[str] = "modify"

    def slots(self) -> Mapping[str, float]:
        """The state slots of this piece with their start values."""
        return {}

    @abstractmethod
    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the changed direction."""


class Decay(Piece):
    """Pulls the parameter towards zero: through the gradient (`penalty`) or beside it (`shrink`)."""

    axis: ClassVar[str] = "decay"

    def penalty(self, g: Tensor, p: Tensor, h: Scalars) -> Tensor:
        """Return the gradient with the penalty's gradient added."""
        return g

    def shrink(self, p: Tensor, h: Scalars) -> Tensor:
        """Return the decayed parameter, before the step is subtracted."""
        return p


class Rate(Piece):
    """A host factor on the learning rate."""

    axis: ClassVar[str] = "rate"

    @abstractmethod
    def factor(self, tick: Tick) -> float:
        """Return the factor for this step."""


class Context:
    """One step of one tensor as its pieces see it: old p, current g, the readings so far, and the state behind them."""

    def __init__(self, p: Tensor, g: Tensor, old: Mapping[str, Tensor], store: Mapping[str, Codec]) -> None:
        self.p = p
        self.g = g
        self.readings: dict[str, Reading] = {}
        self.new: dict[str, Tensor] = {}  # encoded parts by state key
        self._old = old
        self._store = store

    def numerator(self, name: str | None = None) -> Reading:
        """The moment `name`, or else the first signed moment, or else the gradient itself."""
        if name is not None:
            return self.readings[name]
        return next((r for r in self.readings.values() if r.of is Signal.GRADIENT), Reading(self.g))

    def denominator(self, name: str | None = None) -> Reading:
        """The moment `name`, or else the first one that holds a magnitude."""
        if name is not None:
            return self.readings[name]
        return next(r for r in self.readings.values() if r.of is not Signal.GRADIENT)

    def run(self, name: str, moment: Moment, g: Tensor, h: Scalars) -> Reading:
        """Advance a moment by g through its store, and read it."""
        slots = moment.slots(name)
        old = {slot: self._decode(slot, self._old) for slot in slots}
        new = moment.update(name, g, old, h)
        for slot in slots:
            codec = self._store[slot]
            parts = {_key(slot, part): value for part, value in codec.encode(new[slot]).items()}
            self.new.update(parts)
            if not codec.fresh:
                new[slot] = self._decode(slot, parts)
        return moment.read(name, g, old, new, h)

    def _decode(self, slot: str, planes: Mapping[str, Tensor]) -> Tensor:
        parts = {key[len(slot) + 1 :]: value for key, value in planes.items() if key == slot or key.startswith(slot + ".")}
        return self._store[slot].decode(parts, self.p)


def _key(slot: str, part: str) -> str:
    return f"{slot}.{part}" if part else slot


@cache
def _hints(cls: type) -> dict[str, Any]:
    return hints(cls)


@cache
def _numeric(cls: type) -> frozenset[str]:
    """The fields whose numbers enter as scalars: those with an interval and not marked structural."""
    return frozenset(name for name, hint in _hints(cls).items() if _has(hint, Interval) and not _has(hint, Structural))


def _has(hint: Any, marker: type) -> bool:
    own = any(isinstance(m, marker) for m in getattr(hint, "__metadata__", ()))
    return own or any(_has(part, marker) for part in get_args(hint))


def _erased(value: Any, numeric: bool) -> Any:
    if isinstance(value, Piece):
        return value.structure()
    if isinstance(value, tuple):
        return tuple(_erased(x, numeric) for x in value)
    return math.nan if numeric and isinstance(value, (int, float)) and not isinstance(value, bool) else value
