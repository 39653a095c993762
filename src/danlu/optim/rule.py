"""A rule: an optimizer as data, and the one place that says in which order its pieces act."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from danlu.optim.grad.negate import Negate
from danlu.optim.piece import (
    Codec,
    Context,
    Decay,
    Direction,
    GradPiece,
    Measured,
    Modify,
    Moment,
    Need,
    Piece,
    Rate,
    Scalar,
    Scalars,
    Scope,
    Signal,
    Tick,
)
from danlu.optim.store.dense import Dense
from danlu.registry import did_you_mean

__all__ = ["Rule"]

Layout = tuple[tuple[str, str], ...]  # (path of the piece, name of its scalar), in the order of the packed vector h


@dataclass(frozen=True)
class Rule:
    """One update of one tensor, composed of pieces.

    The order, which every rule shares (Δ is what leaves p; everything that reads p reads the old p)::

        g ← grad(g)                 the gradient transforms, in order
        g ← decay.penalty(g, p)     L2 only
        m ← moments(g)              each through its store
        u ← direction(g, m)
        u ← modify(u)               in order
        Δ ← lr·u                    lr after the rate pieces
        Δ ← after_lr(Δ)             in order: momentum that carries each step's own lr
        p ← decay.shrink(p) − Δ

    Args:
        direction: what turns readings into the direction u.
        moments: state key -> recursion. The first signed one is the numerator, the first magnitude the denominator, unless
            the direction names others.
        grad: gradient transforms.
        modify: changes of the direction, before lr.
        after_lr: changes of the step, after lr.
        decay: weight decay, or None.
        rate: host factors on lr.
        store: one codec for all slots, or a mapping from slot to codec (others stay dense).

    Raises:
        ValueError: if a direction needs a magnitude that no moment holds, two pieces claim one state key, or `store` names a
            slot that does not exist.
    """

    direction: Direction
    moments: Mapping[str, Moment] = field(default_factory=dict)
    grad: tuple[GradPiece, ...] = ()
    modify: tuple[Modify, ...] = ()
    after_lr: tuple[Modify, ...] = ()
    decay: Decay | None = None
    rate: tuple[Rate, ...] = ()
    store: Codec | Mapping[str, Codec] = field(default_factory=Dense)

    def __post_init__(self) -> None:
        for name in ("grad", "modify", "after_lr", "rate"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, Piece) else tuple(value))
        object.__setattr__(self, "moments", dict(self.moments))
        if self.direction.wants_scale and all(m.signal is Signal.GRADIENT for m in self.moments.values()):
            raise ValueError(
                f"direction.{type(self.direction).__name__} needs a moment of g² or |g|; this rule has "
                f"{', '.join(self.moments) or 'no moments'}: add moments={{'exp_avg_sq': moment.Ema(0.999, of=square)}}"
            )
        slots = self.slots  # raises when two pieces claim one key
        if isinstance(self.store, Mapping):
            for name in self.store:
                if name not in slots:
                    raise ValueError(f"store: no slot {name!r}{did_you_mean(name, slots)}")

    def but(self, **slots: Any) -> Self:
        """Return a copy with some slots replaced, e.g. ``rule.but(direction=direction.Sign())``.

        Raises:
            TypeError: for a slot that a rule does not have.
        """
        known = [f.name for f in fields(self)]
        for name in slots:
            if name not in known:
                raise TypeError(f"Rule: no slot {name!r}{did_you_mean(name, known)}")
        return replace(self, **slots)

    def climbing(self) -> Self:
        """Return the rule that maximizes: the gradient is negated first, so that decay still pulls to zero."""
        return replace(self, grad=(Negate(), *self.grad))

    @cached_property
    def pieces(self) -> Mapping[str, Piece]:
        """Every piece by its path (``grad.0``, ``moments.exp_avg``, ``direction``), in the order of acting."""
        return dict(self._walk())

    def _walk(self) -> Iterator[tuple[str, Piece]]:
        for axis in ("rate", "grad"):
            yield from ((f"{axis}.{i}", piece) for i, piece in enumerate(getattr(self, axis)))
        yield from ((f"moments.{name}", moment) for name, moment in self.moments.items())
        yield "direction", self.direction
        for axis in ("modify", "after_lr"):
            yield from ((f"{axis}.{i}", piece) for i, piece in enumerate(getattr(self, axis)))
        if self.decay is not None:
            yield "decay", self.decay

    @cached_property
    def slots(self) -> Mapping[str, float]:
        """The state slots that hold a number per element, with their start values."""
        found: dict[str, float] = {}
        groups = [moment.slots(name) for name, moment in self.moments.items()]
        groups += [piece.slots() for piece in (*self.modify, *self.after_lr)]
        for group in groups:
            for name, start in group.items():
                if name in found:
                    raise ValueError(f"two pieces of one rule keep state under {name!r}: give one of them another name")
                found[name] = start
        return found

    @cached_property
    def memory(self) -> Mapping[str, float]:
        """The host numbers kept between steps, with their first values."""
        return {key: value for piece in self.pieces.values() for key, value in piece.memory.items()}

    @cached_property
    def needs(self) -> frozenset[Need]:
        """What a step needs beside the gradient."""
        return frozenset[Need]({"grad"}).union(*(piece.needs for piece in self.pieces.values()))

    @cached_property
    def scope(self) -> Scope:
        """The widest scope of the pieces' laws (a measure that is one number for all tensors leaves a law element-wise)."""
        order: Sequence[Scope] = ("element", "tensor", "matrix", "model")
        return max((piece.scope for piece in self.pieces.values()), key=order.index)

    @cached_property
    def codecs(self) -> Mapping[str, Codec]:
        """The codec of every slot."""
        if isinstance(self.store, Mapping):
            return {slot: self.store.get(slot, Dense()) for slot in self.slots}
        return dict.fromkeys(self.slots, self.store)

    @cached_property
    def measures(self) -> tuple[tuple[int, Measured], ...]:
        """The gradient transforms that need a quantity of all tensors, with their positions."""
        return tuple((i, piece) for i, piece in enumerate(self.grad) if isinstance(piece, Measured))

    def init(self, p: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the start state of a tensor: every slot's encoded parts, in p's layout and the given compute dtype."""
        state: dict[str, Tensor] = {}
        for slot, start in self.slots.items():
            for part, value in self.codecs[slot].encode(torch.full_like(p, start, dtype=dtype)).items():
                state[f"{slot}.{part}" if part else slot] = value
        return state

    # ---- phase 1, on the host -------------------------------------------------------------------------------------------

    def tick(self, t: int, lr: float, peak_lr: float, memory: Mapping[str, float]) -> Tick:
        """Return the tick of one step, with lr after the rate pieces."""
        tick = Tick(t, lr, peak_lr, memory)
        for piece in self.rate:
            tick = replace(tick, lr=tick.lr * piece.factor(tick))
        return tick

    def scalars(self, tick: Tick) -> list[float]:
        """Return every number that the laws read, in the order of `layout`."""
        numbers = [tick.lr]
        for piece in self.pieces.values():
            numbers += piece.scalars(tick).values()
        return numbers

    @cached_property
    def layout(self) -> Layout:
        """Where each number of `scalars` belongs; totals of measures follow at the end."""
        tick = Tick(1, 0.0, 1.0, self.memory)
        named = [("", "lr")]
        named += [(path, name) for path, piece in self.pieces.items() for name in piece.scalars(tick)]
        return (*named, *((f"grad.{i}", "total") for i, _ in self.measures))

    def remember(self, tick: Tick) -> dict[str, float]:
        """Return the host numbers to keep after this step."""
        return {key: value for piece in self.pieces.values() for key, value in piece.remember(tick).items()}

    # ---- phase 2, on one tensor: called on `structure`, whose numbers are erased ---------------------------------------------

    @cached_property
    def structure(self) -> Rule:
        """The rule with every scalar field nan: what a kernel is compiled from and cached under."""
        changes: dict[str, Any] = {name: tuple(x.structure() for x in getattr(self, name)) for name in _TUPLES}
        changes["moments"] = {name: moment.structure() for name, moment in self.moments.items()}
        changes["direction"] = self.direction.structure()
        changes["decay"] = None if self.decay is None else self.decay.structure()
        erased = object.__new__(type(self))
        for f in fields(self):
            object.__setattr__(erased, f.name, changes.get(f.name, getattr(self, f.name)))
        return erased

    def bind(self, values: Sequence[Scalar], layout: Layout) -> dict[str, dict[str, Scalar]]:
        """Hand each number to its piece: path -> name -> number."""
        h: dict[str, dict[str, Scalar]] = {path: {} for path in ("", *self.pieces)}
        for (path, name), value in zip(layout, values, strict=True):
            h[path][name] = value
        return h

    def measure(self, index: int, p: Tensor, g: Tensor, h: Mapping[str, Scalars]) -> Tensor:
        """Return this tensor's share of the quantity that ``grad[index]`` needs, seen after the transforms before it."""
        c = Context(p, g, {}, {})
        for i in range(index):
            c.g = self.grad[i](c.g, c, h[f"grad.{i}"])
        piece = self.grad[index]
        assert isinstance(piece, Measured)
        return piece.measure(c.g, c)

    def step(
        self, p: Tensor, g: Tensor, planes: Mapping[str, Tensor], h: Mapping[str, Scalars]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the new parameter and the new stored state; pure and out of place.

        Args:
            p: parameter in the compute dtype.
            g: gradient in the compute dtype, same shape.
            planes: stored state by key.
            h: the numbers of each piece, from `bind`.
        """
        c = Context(p, g, planes, self.codecs)
        for i, transform in enumerate(self.grad):
            c.g = transform(c.g, c, h[f"grad.{i}"])
        if self.decay is not None:
            c.g = self.decay.penalty(c.g, p, h["decay"])
        for name, moment in self.moments.items():
            c.readings[name] = c.run(name, moment, c.g, h[f"moments.{name}"])
        u = self.direction(c, h["direction"])
        for i, modify in enumerate(self.modify):
            u = modify(u, c, h[f"modify.{i}"])
        delta = u * h[""]["lr"]
        for i, modify in enumerate(self.after_lr):
            delta = modify(delta, c, h[f"after_lr.{i}"])
        kept = p if self.decay is None else self.decay.shrink(p, h["decay"])
        return kept - delta, c.new

    def __str__(self) -> str:
        """The composition, a line per piece: its place, the piece, its law."""
        rows = [(path, piece.brief(), _law(piece)) for path, piece in self.pieces.items()]
        rows += [(f"store.{slot}", codec.brief(), "") for slot, codec in self.codecs.items() if codec != Dense()]
        wide = [max(len(row[i]) for row in rows) for i in range(2)]
        return "\n".join(f"{path:<{wide[0]}}  {piece:<{wide[1]}}  {law}".rstrip() for path, piece, law in rows)


_TUPLES = ("grad", "modify", "after_lr", "rate")


def _law(piece: Piece) -> str:
    return (inspect.getdoc(type(piece)) or "").split("\n", 1)[0]
