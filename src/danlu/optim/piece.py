"""The protocols of the pieces that optimizers are composed of, and what a piece may see.

A piece is a frozen dataclass for ONE tensor: pure, out of place, no loop over tensors, no ``.item()``. Its work has two phases.

1. On the host, in double precision, once per step: `scalars(tick)` turns hyper-parameters, learning rate and step count into
   named numbers (``1 − β``, ``1/(1 − βᵗ)``).
2. On the tensor: the piece's law, which reads those numbers from the mapping ``h`` and never from its own fields. The engine
   erases the numeric fields before this phase (`structure`), so a law that cheats is told at once. That is why a changing
   lr, beta or step never recompiles a kernel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args

import torch
from torch import Tensor

from danlu.optim.erased import Erased
from danlu.optim.values import Kept, Need, Reading, Reduction, Scalars, Scope, Sight, Signal, Start, Tick, gradient
from danlu.ranges import Interval, Structural, check, hints

if TYPE_CHECKING:
    from danlu.optim.context import Context

__all__ = [
    "Around",
    "Average",
    "Codec",
    "Decay",
    "Direction",
    "GradPiece",
    "Measured",
    "Modify",
    "Moment",
    "OfGradient",
    "Piece",
    "Rate",
    "Stateful",
    "Write",
]


class Piece(ABC):
    """One trick. A subclass is a final frozen dataclass whose annotations carry the ranges of its fields."""

    axis: ClassVar[str]  # the kind of piece, which is also its package
    scope: ClassVar[Scope] = "element"
    needs: ClassVar[frozenset[Need]] = frozenset({"grad"})
    skips_roles: ClassVar[frozenset[str]] = frozenset()  # parameters that it leaves alone, where roles are known
    reads_on_host: ClassVar[frozenset[str]] = frozenset()  # scalars that its law takes as host numbers, not as tensors
    events: ClassVar[frozenset[str]] = frozenset()  # those that are 0 but for steps in which the law decomposes matrices
    descends: ClassVar[bool] = False  # whether it reads the loss as what is to become small, so that it cannot maximize
    clips: ClassVar[bool] = False  # whether it bounds the norm of the whole gradient, which a trainer may do as well
    wants_scale: ClassVar[bool] = False  # whether it reads a second moment (or another magnitude), which the rule must have

    def __post_init__(self) -> None:
        owner = f"{self.axis}.{type(self).__name__}"
        check(owner, _hints(type(self)), {f.name: getattr(self, f.name) for f in fields(self)})  # type: ignore[arg-type]

    @property
    def sees(self) -> Sight:
        """What a law of tensor scope sees of a tensor's shape, and so how it may be flattened for a kernel.

        "elements" sees nothing of it; "rows" sees a weight (O, …) as (O, n) and knows vectors; "axes" sees every side, but asks
        only which there are; "shape", which is always safe, asks for more, such as divisors.
        """
        return "shape"

    @property
    def parts(self) -> Mapping[str, Piece]:
        """The pieces inside this one, by field."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {name: x for name, x in found.items() if isinstance(x, Piece)}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The numbers that the law reads from ``h``, computed on the host in double precision; by default its parts'."""
        return {key: x for part in self.parts.values() for key, x in part.scalars(tick).items()}

    def memory(self) -> Mapping[str, float]:
        """Host numbers kept per tensor between steps, state key -> first value; by default its parts'."""
        return {key: x for part in self.parts.values() for key, x in part.memory().items()}

    def remember(self, tick: Tick) -> Mapping[str, float]:
        """The new values of `memory` after this step."""
        return {key: x for part in self.parts.values() for key, x in part.remember(tick).items()}

    def shared(self) -> Mapping[str, Kept]:
        """Host numbers, or tuples of them, kept per group between steps: key -> first value."""
        return {}

    def share(self, tick: Tick) -> Mapping[str, Kept]:
        """New values of `shared`, at the start of a step; ``tick.t`` is the largest of the group."""
        return {}

    def brief(self) -> str:
        """The piece as one would write it: arguments that have their default are left out."""
        shown = [(f, getattr(self, f.name)) for f in fields(self)]  # type: ignore[arg-type]
        args = [f"{f.name}={_written(x)}" for f, x in shown if x != f.default]
        return f"{type(self).__name__}({', '.join(args)})"

    def structure(self) -> Self:
        """A copy whose numeric fields are `Erased`: what shapes the computation, without what enters it as a scalar."""
        copy = object.__new__(type(self))
        for f in fields(self):  # type: ignore[arg-type]
            name = f"{type(self).__name__}.{f.name}" if f.name in _numeric(type(self)) else ""
            object.__setattr__(copy, f.name, _erased(getattr(self, f.name), name))
        return copy


class Stateful(Piece):
    """A piece with slots of its own: ``c.load(slot)`` reads the old value, ``c.save(slot, x)`` keeps the new one."""

    reads: ClassVar[tuple[str, ...]] = ()  # slots of other pieces that it loads, all of magnitudes

    def slots(self) -> Mapping[str, Start]:
        """The state slots of this piece with their start values."""
        return {}

    def magnitudes(self) -> frozenset[str]:
        """Its slots that never hold a negative value."""
        return frozenset()


class Measured(Piece):
    """A piece that needs a few sums over all tensors before it can act.

    The engine calls `measure` on every tensor at the moment when the piece would act, reduces over tensors, calls `settle` once
    per group, and hands its numbers to the law as ``h["total"]`` (or what `settles` names). Nothing has been written by then.
    """

    settles: ClassVar[tuple[str, ...]] = ("total",)

    @property
    def reduction(self) -> Reduction:
        """How the shares of the tensors are joined."""
        return "sum"

    @abstractmethod
    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return this tensor's share as a small float64 tensor."""

    @abstractmethod
    def settle(self, total: Tensor, tick: Tick) -> Mapping[str, Kept]:
        """Return the numbers that the law needs (all of `settles`), and new values of `shared`, from the reduced total."""


class OfGradient(Measured):
    """One whose measure is a function of the gradient alone, which may be taken of many tensors at once."""

    def measure(self, c: Context, h: Scalars) -> Tensor:
        """Return this tensor's share."""
        return self.joined([c.g], c.g.dtype)

    @abstractmethod
    def joined(self, gs: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
        """Return the shares of tensors on one device, computed in `dtype` and joined, as a small float64 tensor."""


class GradPiece(Stateful):
    """Transforms the gradient before the moments see it."""

    axis: ClassVar[str] = "grad"

    @abstractmethod
    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the transformed gradient."""


class Moment(Piece):
    """A recursion over the steps: new state from old state and the signal, and how a direction reads it."""

    axis: ClassVar[str] = "moment"

    @property
    def signal(self) -> Signal:
        """Which function of the gradient it holds, and so its unit."""
        return gradient

    def slots(self, name: str) -> Mapping[str, Start]:
        """The state slots of a moment called `name`, with their start values."""
        return {name: 0.0}

    def magnitudes(self, name: str) -> frozenset[str]:
        """Its slots that never hold a negative value."""
        return frozenset() if self.signal is Signal.GRADIENT else frozenset({name})

    @property
    def exact_at_first(self) -> bool:
        """Whether its first reading is the first signal itself, as a bias correction makes it: nothing is left between them."""
        return False

    @abstractmethod
    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return the new value of every slot, from the gradient (or whatever is smoothed) and the old values."""

    @abstractmethod
    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return what the direction sees."""


class Codec(Piece):
    """How one slot is kept between steps; `fresh` says whether a step reads the new value before it is encoded."""

    axis: ClassVar[str] = "store"
    fresh: ClassVar[bool] = True
    costly: ClassVar[bool] = False  # whether a kernel had better keep a value in memory than decode it once more
    rounds_on_bits: ClassVar[bool] = False  # whether encoding leaves bfloat16 numbers even where a kernel drops casts

    @property
    def row(self) -> int:
        """How many consecutive elements share what is kept beside them; 0 when each is kept for itself.

        A codec with rows also takes tensors of shape (rows, row); each of its parts has a number per element, or one per row.
        """
        return 0

    def at(self, count: int) -> Codec:
        """What stands in its place at a tensor of that many elements."""
        return self

    @property
    def paired(self) -> bool:
        """Whether it keeps one bfloat16 number per element: two such slots share 32-bit words on a CPU."""
        return False

    @property
    def signed(self) -> bool:
        """Whether it keeps values of either sign; a codec that does not is for magnitudes (averages of g² or |g|)."""
        return True

    def for_magnitudes(self) -> Codec:
        """What stands in its place at slots that hold no negative value, when one codec is given for all slots."""
        return self

    @abstractmethod
    def encode(self, x: Tensor, h: Scalars) -> dict[str, Tensor]:
        """Return the stored parts of `x`, by suffix of the state key ("" for none)."""

    @abstractmethod
    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return the value in the shape and compute dtype of `like`."""


class Direction(Stateful):
    """The unit-free (or gradient-unit) direction u from the readings; the step is −lr·u."""

    axis: ClassVar[str] = "direction"

    @abstractmethod
    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return u, with the shape of p."""

    def jointly(self, cs: Sequence[Context], h: Scalars) -> Sequence[Tensor]:
        """Return u of several tensors at one tick, of any shapes; for directions that do better than one after the other."""
        return [self(c, h) for c in cs]


class Around(Direction, Measured):
    """Takes the gradient beside p, at p + e, where e is what a call returns; acts before the rule and keeps no state."""

    axis: ClassVar[str] = "around"
    needs: ClassVar[frozenset[Need]] = frozenset({"grad", "closure"})


class Modify(Stateful):
    """Changes the direction (before lr) or the step (after lr). ``c.scale_lr`` scales step and decay alike."""

    axis: ClassVar[str] = "modify"

    @property
    def scales_lr(self) -> bool:
        """Whether it calls ``c.scale_lr``, which does nothing to the step after lr."""
        return False

    @abstractmethod
    def __call__(self, u: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the changed direction."""


class Decay(Stateful):
    """Pulls the parameter: through the gradient (`penalty`), beside the step (`shrink`), or after it (`constrain`)."""

    axis: ClassVar[str] = "decay"

    def penalty(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the gradient with the penalty's gradient added."""
        return g

    def shrink(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the decayed old parameter, before the step is subtracted; ``c.u`` is the final direction."""
        return p

    def constrain(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the new parameter, put back into its bounds."""
        return p


class Rate(Stateful):
    """A host factor on the learning rate, which may be made from what it watches."""

    axis: ClassVar[str] = "rate"

    def watch(self, c: Context, h: Scalars) -> None:
        """Save the slots that the factor is made from; ``c.g`` is the gradient as the moments will see it."""

    @abstractmethod
    def factor(self, tick: Tick) -> float:
        """Return the factor for this step."""


class Average(Stateful):
    """Keeps another point beside the parameter, or moves the parameter itself; evaluation is done at `point`."""

    axis: ClassVar[str] = "average"
    moves: ClassVar[bool] = False  # whether `follow` moves the parameter

    @property
    def alone(self) -> Average:
        """The same average of values that no step moves, such as buffers."""
        return self

    @abstractmethod
    def follow(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the parameter after the step (`p` unless the average moves it), and save the slots; ``c.p`` is the old one."""

    @abstractmethod
    def point(self, p: Tensor, slots: Mapping[str, Tensor]) -> Tensor:
        """Return where to evaluate, from the parameter and the decoded slots. Called on the piece with its numbers."""


class Write(Stateful):
    """How the new parameter is rounded into a narrower dtype."""

    axis: ClassVar[str] = "write"

    @abstractmethod
    def __call__(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return the value to store, representable in the parameter's dtype; ``c.p`` is the old one, ``c.dtype`` the dtype."""


def _written(x: Any) -> str:
    if isinstance(x, Piece):
        return x.brief()
    return repr(float(f"{x:.15g}") if isinstance(x, float) else x)  # 3·0.05 is 0.15000000000000002


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


def _erased(value: Any, name: str) -> Any:
    """The value without what enters as a scalar: its numbers, where they have a name."""
    if isinstance(value, Piece):
        return value.structure()
    if isinstance(value, tuple):
        return tuple(_erased(x, name) for x in value)
    return Erased(name) if name and isinstance(value, (int, float)) and not isinstance(value, bool) else value
