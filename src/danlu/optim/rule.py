"""A rule: an optimizer as data."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any, Self, get_args

import torch
from torch import Tensor

from danlu.docstrings import first_line
from danlu.optim.context import Context
from danlu.optim.grad.negate import Negate
from danlu.optim.order import directed, modified, onwards, towards
from danlu.optim.piece import (
    Around,
    Average,
    Codec,
    Decay,
    Direction,
    GradPiece,
    Measured,
    Modify,
    Moment,
    Piece,
    Rate,
    Stateful,
    Write,
)
from danlu.optim.refusals import refuse_climbing, refuse_misfits
from danlu.optim.store.dense import Dense
from danlu.optim.tail import tail_of
from danlu.optim.values import Kept, Need, Scalar, Scalars, Scope, Sight, Start, Tick
from danlu.registry import did_you_mean, snake

__all__ = ["SLOTS", "ByPath", "Layout", "Rule", "outlined"]

Layout = tuple[tuple[str, str], ...]  # (path of the piece, name of its scalar), in the order of the packed vector h
ByPath = Mapping[str, Scalars]  # the numbers of each piece, by path

_TUPLES = ("rate", "grad", "modify", "after_lr")
_OPTIONAL = ("decay", "average", "write", "around")
_SINGLES = ("direction", *_OPTIONAL)


@dataclass(frozen=True)
class Rule:
    """One update of one tensor, composed of pieces.

    The order, which every rule shares (Δ is what leaves p; everything that reads p reads the old p)::

        g ← grad(g)                 the gradient transforms, in order
        g ← decay.penalty(g)        L2 only
        rate.watch(g)               rates that are made from gradients
        m ← moments(g)              each through its store
        u ← direction(g, m)
        u ← modify(u)               in order
        Δ ← lr·u                    lr after the rate pieces
        Δ ← after_lr(Δ)             in order: momentum that carries each step's own lr
        p ← decay.shrink(p) − Δ
        p ← decay.constrain(p)      constraints only
        p ← average.follow(p)       averages that move p; others only watch
        p ← write(p)                rounding into the parameter's dtype

    Args:
        direction: what turns readings into the direction u.
        moments: state key -> recursion. The first signed one is the numerator, the first magnitude the denominator, unless
            the direction names others.
        grad: gradient transforms.
        modify: changes of the direction, before lr.
        after_lr: changes of the step, after lr.
        decay: weight decay, or None.
        rate: host factors on lr.
        average: another point beside the parameter, or None.
        write: how the parameter is rounded, or None for to nearest.
        store: one codec for all slots, or a mapping from slot to codec (others stay dense).
        around: where beside p the gradient is taken, or None; that happens before the rule acts.

    Raises:
        ValueError: if a piece needs a magnitude that no moment holds, two pieces claim one state key or host number, one in
            `after_lr` scales lr, a piece reads or `store` names a slot that does not exist or gives one with signs to a codec
            that keeps none.
    """

    direction: Direction
    moments: Mapping[str, Moment] = field(default_factory=dict)
    grad: tuple[GradPiece, ...] = ()
    modify: tuple[Modify, ...] = ()
    after_lr: tuple[Modify, ...] = ()
    decay: Decay | None = None
    rate: tuple[Rate, ...] = ()
    average: Average | None = None
    write: Write | None = None
    store: Codec | Mapping[str, Codec] = field(default_factory=Dense)
    around: Around | None = None

    def __post_init__(self) -> None:
        for name in _TUPLES:
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, Piece) else tuple(value))
        object.__setattr__(self, "moments", dict(self.moments))
        refuse_misfits(self)

    def but(self, **slots: Any) -> Self:
        """Return a copy with some slots replaced, e.g. ``rule.but(direction=direction.Sign())``.

        Stores of what the replaced pieces kept go with them.

        Raises:
            TypeError: for a slot that a rule does not have.
        """
        for name in slots:
            if name not in SLOTS:
                raise TypeError(f"Rule: no slot {name!r}{did_you_mean(name, sorted(SLOTS))}")
        return self._replaced(slots)

    def without(self, *names: str) -> Self:
        """Return the rule without some of its transforms, modifiers, rates, decay, average or write.

        Args:
            *names: names of pieces as in the catalogue ("clip_norm"); each must be in the rule.

        Raises:
            ValueError: for a name that no removable piece of the rule has.
        """
        for name in names:
            if name not in self.removable:
                raise ValueError(f"without: the rule has no piece {name!r} to leave out{did_you_mean(name, self.removable)}")
        kept = {axis: tuple(x for x in getattr(self, axis) if snake(type(x)) not in names) for axis in _TUPLES}
        gone = {axis: None for axis in _OPTIONAL for x in _listed(getattr(self, axis)) if snake(type(x)) in names}
        return self._replaced({**kept, **gone}) if names else self

    def _replaced(self, slots: Mapping[str, Any]) -> Self:
        if "store" in slots or not isinstance(self.store, Mapping):
            return replace(self, **slots)
        bare = replace(self, **slots, store={})
        return replace(bare, store={slot: codec for slot, codec in self.store.items() if slot in bare.slots})

    @property
    def removable(self) -> Mapping[str, Piece]:
        """What `without` may leave out, by its name."""
        return {snake(type(x)): x for name in (*_TUPLES, *_OPTIONAL) for x in _listed(getattr(self, name))}

    def climbing(self) -> Self:
        """Return the rule that maximizes: the gradient is negated first, so that decay still pulls to zero.

        Raises:
            ValueError: with a piece that reads the loss as what is to become small.
        """
        refuse_climbing(self)
        return replace(self, grad=(Negate(), *self.grad))

    @cached_property
    def pieces(self) -> Mapping[str, Piece]:
        """Every piece by its path (``grad.0``, ``moments.exp_avg``, ``direction``), in the order of acting; codecs last."""
        return {**dict(self._walk()), **{f"store.{slot}": codec for slot, codec in self.codecs.items()}}

    def _walk(self) -> Iterator[tuple[str, Piece]]:
        for axis in ("grad", "rate"):
            yield from ((f"{axis}.{i}", piece) for i, piece in enumerate(getattr(self, axis)))
        yield from ((f"moments.{name}", moment) for name, moment in self.moments.items())
        yield "direction", self.direction
        for axis in ("modify", "after_lr"):
            yield from ((f"{axis}.{i}", piece) for i, piece in enumerate(getattr(self, axis)))
        for axis in ("decay", "average", "write"):
            if getattr(self, axis) is not None:
                yield axis, getattr(self, axis)

    @cached_property
    def slots(self) -> Mapping[str, Start]:
        """The state slots with their start values."""
        found: dict[str, Start] = {}
        groups = [moment.slots(name) for name, moment in self.moments.items()]
        groups += [piece.slots() for _, piece in self._walk() if isinstance(piece, Stateful)]
        for group in groups:
            for name, start in group.items():
                if name in found:
                    raise ValueError(f"two pieces of one rule keep state under {name!r}: give one of them another name")
                found[name] = start
        return found

    @cached_property
    def codecs(self) -> Mapping[str, Codec]:
        """The codec of every slot; dense is what `store` leaves out.

        One codec for all leaves out slots that are made from the parameter (a copy, a scalar), and, when it keeps no signs,
        those that may hold negative values.
        """
        if isinstance(self.store, Mapping):
            chosen = self.store
        else:
            full = [slot for slot, start in self.slots.items() if not callable(start)]
            signed = {slot: self.store for slot in full if self.store.signed}
            chosen = {**signed, **{slot: self.store.for_magnitudes() for slot in full if slot in self.magnitudes}}
        return {slot: chosen.get(slot, Dense()) for slot in self.slots}

    @property
    def coded(self) -> Mapping[str, Codec]:
        """The codecs whose parts nobody else can read: not those that keep one plain number for each element."""
        return {slot: codec for slot, codec in self.codecs.items() if not (isinstance(codec, Dense) or codec.paired)}

    @property
    def magnitudes(self) -> frozenset[str]:
        """The slots that never hold a negative value."""
        of_moments = (moment.magnitudes(name) for name, moment in self.moments.items())
        return frozenset().union(*of_moments, *(piece.magnitudes() for _, piece in self._walk() if isinstance(piece, Stateful)))

    @cached_property
    def nested(self) -> tuple[Piece, ...]:
        """Every piece, those inside others included."""
        found = list(self.pieces.values())
        for piece in found:
            found.extend(piece.parts.values())
        return tuple(found)

    @cached_property
    def memory(self) -> Mapping[str, float]:
        """The host numbers kept per tensor between steps, with their first values."""
        return {key: value for piece in self.pieces.values() for key, value in piece.memory().items()}

    @cached_property
    def shared(self) -> Mapping[str, Kept]:
        """The host numbers kept per group between steps, with their first values."""
        return {key: value for piece in self.pieces.values() for key, value in piece.shared().items()}

    @cached_property
    def needs(self) -> frozenset[Need]:
        """What a step needs beside the gradient."""
        return frozenset[Need]({"grad"}).union(*(piece.needs for piece in (*self.nested, *_listed(self.around))))

    @cached_property
    def beside(self) -> Rule | None:
        """The rule whose step of lr −1 goes from p to where the gradient is taken."""
        return None if self.around is None else Rule(self.around)

    @cached_property
    def scope(self) -> Scope:
        """The widest scope of the pieces' laws (a measure that is one number for all tensors leaves a law element-wise)."""
        return max((piece.scope for piece in self.nested), key=get_args(Scope).index)

    @cached_property
    def sees(self) -> Sight:
        """The most that one of the pieces' laws sees of a tensor's shape; those of element scope see nothing of it."""
        return max((x.sees for x in self.nested if x.scope != "element"), key=get_args(Sight).index, default="elements")

    @cached_property
    def measures(self) -> Mapping[str, Measured]:
        """The pieces that need sums over all tensors, by path, in the order of acting."""
        return {path: piece for path, piece in self.pieces.items() if isinstance(piece, Measured)}

    def init(self, p: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the start state of a tensor: every slot's encoded parts, in p's layout and the given compute dtype."""
        state: dict[str, Tensor] = {}
        for slot, start in self.slots.items():
            x = start(p.to(dtype, copy=True)) if callable(start) else torch.full_like(p, start, dtype=dtype)
            state |= self.encoded(slot, x)
        return state

    def encoded(self, slot: str, x: Tensor) -> dict[str, Tensor]:
        """Return the value of a slot between two steps as its codec keeps it, by state key."""
        parts = outlined(self.codecs[slot], x.shape, x.dtype) if x.is_meta else _encoded(self.codecs[slot], x)
        return {f"{slot}.{part}" if part else slot: value for part, value in parts.items()}

    # ---- phase 1, on the host -------------------------------------------------------------------------------------------

    def ticked(self, tick: Tick) -> Tick:
        """Return the tick of one step, with lr after the rate pieces."""
        for piece in self.rate:
            tick = tick._replace(lr=tick.lr * piece.factor(tick))
        return tick

    def scalars(self, tick: Tick) -> list[float]:
        """Return every number that the laws read, in the order of `layout`."""
        return [tick.lr, *chain.from_iterable(piece.scalars(tick).values() for piece in self._counting)]

    @cached_property
    def _counting(self) -> tuple[Piece, ...]:
        return tuple(piece for path, piece in self.pieces.items() if path in dict(self.layout))

    @property
    def first(self) -> Tick:
        """A first step of lr 1 and loss 1."""
        return Tick(1, 1.0, 1.0, self.memory, self.shared, 1.0)

    @cached_property
    def layout(self) -> Layout:
        """Where each number of `scalars` belongs; what measures settle follows at the end."""
        named = ((path, name) for path, piece in self.pieces.items() for name in piece.scalars(self.first))
        return (("", "lr"), *named, *self.settling)

    @cached_property
    def settling(self) -> Layout:
        """Where each number that measures settle belongs."""
        return tuple((path, name) for path, piece in self.measures.items() for name in piece.settles)

    def remember(self, tick: Tick) -> dict[str, float]:
        """Return the host numbers of the tensor to keep after this step."""
        return {key: value for piece in self.pieces.values() for key, value in piece.remember(tick).items()}

    def share(self, tick: Tick) -> dict[str, Kept]:
        """Return the group's host numbers at the start of a step."""
        return {**tick.shared, **{key: x for piece in self.pieces.values() for key, x in piece.share(tick).items()}}

    # ---- phase 2, on one tensor: called on `structure`, whose numbers are erased ---------------------------------------------

    @cached_property
    def structure(self) -> Rule:
        """The rule with every scalar field erased: what a kernel is compiled from and cached under."""
        changes: dict[str, Any] = {name: tuple(x.structure() for x in getattr(self, name)) for name in _TUPLES}
        changes |= {name: x if (x := getattr(self, name)) is None else x.structure() for name in _SINGLES}
        changes["moments"] = {name: moment.structure() for name, moment in self.moments.items()}
        changes["store"] = {slot: codec.structure() for slot, codec in self.codecs.items()}
        erased = object.__new__(type(self))
        for f in fields(self):
            object.__setattr__(erased, f.name, changes[f.name])
        erased.__dict__.update(slots=self.slots, codecs=changes["store"], layout=self.layout)  # found with the numbers there
        return erased

    def bind(self, values: Sequence[Scalar]) -> dict[str, dict[str, Scalar]]:
        """Hand each number of `layout` to its piece: path -> name -> number."""
        h: dict[str, dict[str, Scalar]] = {path: {} for path in ("", *self.pieces)}
        for (path, name), x in zip(self.layout, values, strict=True):
            h[path][name] = x
        return h

    def step(
        self, p: Tensor, g: Tensor, planes: Mapping[str, Tensor], h: ByPath, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the new parameter and the new stored state; pure and out of place.

        Args:
            p: parameter in the compute dtype.
            g: gradient in the compute dtype, same shape.
            planes: stored state by key.
            h: the numbers of each piece, from `bind`.
            dtype: the dtype that the parameter is kept in; None for p's.
        """
        c = Context(p, g, planes, self.codecs, h, dtype or p.dtype)
        self.begin([c], h)
        return self.finish(c, h)

    def begin(self, cs: Sequence[Context], h: ByPath) -> None:
        """Act on tensors at one tick until the direction of each is known: ``c.u``."""
        for c in cs:
            deque(towards(self, c, h), maxlen=0)
        for c, u in zip(cs, self.direction.jointly(cs, h["direction"]), strict=True):
            c.u = u
            deque(modified(self, c, h), maxlen=0)

    def finish(self, c: Context, h: ByPath) -> tuple[Tensor, dict[str, Tensor]]:
        """Act from the direction on; returns what `step` does."""
        deque(onwards(self, c, h), maxlen=0)
        return c.moved, c.new

    @cached_property
    def tail(self) -> Rule | None:
        """What `finish` does as a rule that takes the direction for its gradient; None where it is none (see `tail_of`)."""
        return tail_of(self)

    def measure(self, path: str, p: Tensor, g: Tensor, planes: Mapping[str, Tensor], h: ByPath) -> Tensor:
        """Return this tensor's share of what the piece at `path` needs, at the moment when it would act."""
        c = Context(p, g, planes, self.codecs, h, p.dtype)
        for reached in chain(towards(self, c, h), directed(self, c, h), onwards(self, c, h)):
            if reached == path:
                return self.measures[path].measure(c, h[path])
        raise AssertionError(f"{path} never acts")

    def __str__(self) -> str:
        """The composition, a line per piece: its place, the piece, its law."""
        shown = {**({} if self.around is None else {"around": self.around}), **self.pieces}
        rows = [(path, piece.brief(), first_line(type(piece))) for path, piece in shown.items() if piece != Dense()]
        wide = [max(map(len, column)) for column in [*zip(*rows, strict=True)][:2]]
        return "\n".join(f"{path:<{wide[0]}}  {piece:<{wide[1]}}  {law}".rstrip() for path, piece, law in rows)


SLOTS = frozenset(f.name for f in fields(Rule))


@lru_cache(maxsize=4096)
def outlined(codec: Codec, shape: torch.Size, dtype: torch.dtype) -> Mapping[str, Tensor]:
    """The parts that a codec makes of such tensors, on the meta device, where its law takes 20 ms and more."""
    return _encoded(codec, torch.empty(shape, dtype=dtype, device="meta"))


def _encoded(codec: Codec, x: Tensor) -> Mapping[str, Tensor]:
    return codec.encode(x, codec.scalars(Tick(0, 0.0, 1.0)))


def _listed(value: Piece | tuple[Piece, ...] | None) -> tuple[Piece, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)
