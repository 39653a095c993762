"""One tensor's way through a rule: the compiled kernel where it fits, eager everywhere else."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from operator import is_
from types import EllipsisType
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.run.eager import context_of, keep
from danlu.optim.run.kernel import Kernel
from danlu.optim.run.numbers import Numbers
from danlu.optim.run.runner import Measuring, Runner, Way
from danlu.optim.run.views import compute_dtype, flat, real, same_layout

__all__ = ["Lane", "Line", "Ready", "advance_jointly"]


class Line(NamedTuple):
    """How one tensor goes in a line with others.

    Args:
        law: the rule without its numbers, with the codecs of this size; they do not change with the length of a line.
        views: the parameter and its state tensors, 1-D.
        kind: the same for tensors that share law, dtypes and device, and have a kernel or have none.
        bytes: of all views.
    """

    law: Rule
    views: Sequence[Tensor]
    kind: Hashable
    bytes: int


class Lane:
    """A parameter with its state tensors as the kernel or the eager rule takes them; valid while their storages stay.

    Args:
        p: the parameter.
        state: its state; only the rule's slots are used.
        runner: how the rule runs.

    Attributes:
        keys: of the state tensors, in the rule's order.
        kept: the state tensors.
        way: the kernel, or None.
        dtype: what is computed in.
        tail: the kernel that goes on from the direction, where there is none for the whole; or None.
        fused: torch's kernel, where it may stand in for ours; or None.
    """

    __slots__ = ("_at", "_line", "_measures", "_plain", "_runner", "dtype", "fused", "kept", "keys", "p", "tail", "way")

    def __init__(self, p: Tensor, state: Mapping[str, Any], runner: Runner) -> None:
        self.p = p
        self._runner = runner
        place = {slot: i for i, slot in enumerate(runner.rule.slots)}
        keys = [key for key, x in state.items() if isinstance(x, Tensor) and key.split(".")[0] in place]
        self.keys = sorted(keys, key=lambda key: (place[key.split(".")[0]], key))  # a loaded state has its own order
        self.kept = [state[key] for key in self.keys]
        self._at = self._place(p)
        self.dtype = compute_dtype(p)
        self._plain = p.is_contiguous() and not p.is_complex()
        self._measures: dict[str, Measuring | None] = {}
        self.way = runner.way(p.detach(), dict(zip(self.keys, self.kept, strict=True)))
        self.tail = self._tail() if self.way is None else None
        self.fused = runner.fused if self.way is None and self._dense() else None
        self._line: Line | EllipsisType | None = ... if runner.rule.scope == "element" else None

    def fits(self, p: Tensor, state: Mapping[str, Any]) -> bool:
        """Whether the lane still describes this parameter and this state."""
        return all(map(is_, map(state.get, self.keys), self.kept)) and self._place(p) == self._at

    def _place(self, p: Tensor) -> tuple[Any, ...]:
        """Where memory is: kernels and lines hold views, which a tensor whose ``data`` is written would leave behind."""
        return p.stride(), p.shape, p.data_ptr(), *map(Tensor.data_ptr, self.kept)

    def _tail(self) -> Way | None:
        runner = self._runner.tail
        if runner is None or self.p.dtype != self.dtype:  # a kernel takes u in p's dtype, and a narrow one would round it
            return None
        own = {key: x for key, x in zip(self.keys, self.kept, strict=True) if key.split(".")[0] in runner.rule.slots}
        return runner.way(self.p.detach(), own)

    def _dense(self) -> bool:
        """Whether memory alone, taken in order, tells which numbers belong together; all of the width that is computed in."""
        p = self.p
        alike = all(x.dtype == p.dtype and x.shape == p.shape and x.stride() == p.stride() for x in self.kept)
        return alike and p.dtype == self.dtype and p.device.type in {"cpu", "cuda"} and flat(p.detach()) is not None

    @property
    def line(self) -> Line | None:
        """How it may be laid end to end with others; None where it may not."""
        if self._line is ...:
            self._line = self._laid()
        return self._line

    def _laid(self) -> Line | None:
        if not self._plain or self.p.is_neg() or any(x.shape != self.p.shape for x in self.kept):
            return None
        try:
            views = [x.detach().view(-1) for x in (self.p, *self.kept)]
        except RuntimeError:  # a state tensor in another order than its own shape's
            return None
        law = self._runner.law_at(self.p.numel())
        kind = id(law), self.way is None, self.p.device, *(x.dtype for x in views)
        return Line(law, views, kind, sum(x.nbytes for x in views))

    @property
    def stackable(self) -> bool:
        """Whether this tensor may be stepped in a stack of equal ones: it has no kernel, and its rule is not element-wise."""
        return self.way is None and self._runner.stackable

    def step_alone(self) -> None:
        """Keep the rule of this lane out of stacks from now on."""
        self._runner.stackable = False

    @property
    def joins(self) -> bool:
        """Whether the rule's direction is better taken of several tensors at once."""
        return self.way is None and self._runner.joins

    @property
    def structure(self) -> Rule:
        """The rule without its numbers."""
        return self._runner.structure

    @property
    def stored(self) -> dict[str, Tensor]:
        """The state tensors as the rule takes them, by key."""
        return {key: real(t) for key, t in zip(self.keys, self.kept, strict=True)}

    def measure(self, path: str, g: Tensor, numbers: Numbers) -> Tensor:
        """Return the tensor's share of the measure at `path`, found by a kernel where the tensor advances by one."""
        if path not in self._measures:
            kept = dict(zip(self.keys, self.kept, strict=True))
            wanted = self.way is not None and self._plain
            self._measures[path] = self._runner.measuring(path, self.p.detach(), kept) if wanted else None
        found = self._measures[path]
        if found is None or g.dtype != self.p.dtype or not g.is_contiguous() or g.is_neg():
            whole, slope = real(self.p.detach()).to(self.dtype), real(g).to(self.dtype)
            return self.structure.measure(path, whole, slope, self.stored, numbers.bound(self.dtype))
        return found.kernel(g.view(found.view), numbers.packed(self.dtype, g.device))

    def run(self, g: Tensor, numbers: Numbers) -> None:
        """Advance the parameter and its state by one step."""
        if self.way is not None and g.dtype == self.p.dtype:  # the kernel reads g's memory as p's dtype
            self._compiled(self.way, g, numbers)
        else:
            advance_jointly([(self, g, numbers)])

    def of_line(self, line: Line, p: Tensor, planes: Sequence[Tensor]) -> Kernel:
        """Return the kernel of tensors laid end to end, of which this is one."""
        return self._runner.of_line(line.kind, line.law, p, planes, self.p.numel()).bind(p, planes)

    def finish(self, u: Tensor, numbers: Numbers) -> None:
        """Go on from the direction, by the kernel of the tail."""
        assert self.tail is not None
        self._compiled(self.tail, u, numbers.tail)

    def _compiled(self, way: Way, g: Tensor, numbers: Numbers) -> None:
        own = g if self._plain and g.is_contiguous() and not g.is_neg() else flat(real(same_layout(g, self.p)))
        assert own is not None  # same_layout gave it the strides of a dense parameter
        seen = own if own.shape == way.view else own.view(way.view)  # a view takes longer than a small tensor's arithmetic
        way.kernel(seen, numbers.packed(self.dtype, own.device))


def advance_jointly(members: Sequence[Ready]) -> None:
    """Advance tensors of one rule at one tick, whose direction is taken of all at once."""
    first, _, numbers = members[0]
    structure, h = first.structure, numbers.bound(first.dtype)
    cs = [context_of(structure, real(lane.p), real(g), lane.stored, h) for lane, g, _ in members]
    structure.begin(cs, h)
    for (lane, _, own), c in zip(members, cs, strict=True):
        if lane.tail is not None and c.lr_scale is None:
            keep(c.new, c.old)
            lane.finish(c.u, own)
        else:  # a tail does not know of a scaled lr
            moved, new = structure.finish(c, h)
            keep(new, c.old)
            real(lane.p).copy_(moved)


Ready: TypeAlias = tuple[Lane, Tensor, Numbers]  # a tensor with its state, its gradient, the numbers of its tick
