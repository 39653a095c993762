"""How the tensors of one group take their step: as columns where one function takes them all, else in stacks or alone.

A function that takes memory addresses needs no views and no list per tensor: one `map` over columns of parameters, gradients
and states calls it for all of them, or torch's kernel takes the columns as they are. Before, two comparisons of all tensors at
once make sure that everything is as it was when the columns were made; otherwise they are made again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, compress, repeat
from operator import getitem, is_, itemgetter
from typing import Any

import torch
from torch import Tensor

from danlu.optim.run.batch import batched
from danlu.optim.run.job import Job
from danlu.optim.run.kernel import CHUNK
from danlu.optim.run.lane import Lane
from danlu.optim.run.numbers import Numbers, Vector
from danlu.optim.run.runner import Runner

__all__ = ["Course", "Lanes", "identical"]

try:  # compares type, dtype, device, layout, sizes and strides of many tensors in one call
    from torch._C._dynamo.guards import TensorGuards
except ImportError:  # then no columns
    TensorGuards: Any = None


class Lanes:
    """The lanes of one group's parameters, kept from step to step, and the course that they make up.

    Args:
        runner: how the group's rule runs.

    Attributes:
        of: the lane of each parameter that has stepped.
        complete: the shape of each parameter whose state was found to hold everything that the rule keeps, in shapes that fit.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.of: dict[Tensor, Lane] = {}
        self.complete: dict[Tensor, torch.Size] = {}
        self._course: Course | None = None

    def fit(self, job: Job) -> bool:
        """Whether the last course is one for this job: nothing is to be refused or completed then."""
        return self._course is not None and self._course.fits(job)

    def course(self, job: Job) -> Course:
        """Return the course of a job, whose states are complete; made again where the last one does not fit."""
        if self._course is None or not job.known:
            for p, state in zip(job.params, job.states, strict=True):
                if (lane := self.of.get(p)) is None or not lane.fits(p, state):
                    self.of[p] = Lane(p, state, self.runner)
            self._course = Course(job, [self.of[p] for p in job.params])
        return self._course


class Course:
    """The tensors of one job in the order of the job; valid while parameters, states and gradients keep their kind.

    Args:
        job: the tensors.
        lanes: a lane for each.
    """

    def __init__(self, job: Job, lanes: Sequence[Lane]) -> None:
        self._params, self._states = [*job.params], job.states  # the group's own list may be written
        together: dict[Any, list[int]] = {}
        for i, (lane, g) in enumerate(zip(lanes, job.grads, strict=True)):
            function = lane.fused if lane.way is None else lane.way.raw and lane.way.raw[0]
            if TensorGuards is not None and function is not None and _by_address(lane.p, g):
                together.setdefault((function, g.device, g.dtype), []).append(i)
        self._columns = [
            _Columns(job, lanes, places) if lanes[places[0]].fused is None else _Served(job, lanes, places)
            for places in together.values()
        ]
        rest = set(range(len(lanes))).difference(*together.values())
        self._rest = [(i, lanes[i]) for i in sorted(rest)]

    def fits(self, job: Job) -> bool:
        """Whether the course still describes these tensors."""
        return (
            identical(job.params, self._params)
            and identical(job.states, self._states)
            and all(columns.fit(job) for columns in self._columns)
            and all(lane.fits(lane.p, job.states[i]) and job.grads[i].layout is torch.strided for i, lane in self._rest)
        )

    def run(self, job: Job, numbers: Sequence[Numbers]) -> None:
        """Advance every parameter and its state by one step."""
        for columns in self._columns:
            columns.run(job, numbers)
        for lane, g, own in batched((lane, job.grads[i], numbers[i]) for i, lane in self._rest):
            lane.run(g, own)


class _Together:
    """Tensors of a job that one function advances, by their places in it."""

    def __init__(self, job: Job, lanes: Sequence[Lane], places: Sequence[int]) -> None:
        self._keys = lanes[places[0]].keys
        self._places = None if len(places) == len(lanes) else places
        states = self._of(job.states)
        self._params = self._of([*job.params])
        self._at = [*chain.from_iterable(repeat(state, len(self._keys)) for state in states)], self._keys * len(states)
        self._kept = [*chain.from_iterable(lanes[i].kept for i in places)]
        both = *self._params, *self._of(job.grads)
        self._guards = TensorGuards(*both, dynamic_dims_sizes=None, dynamic_dims_strides=None)

    def _of(self, column: Sequence[Any]) -> Sequence[Any]:
        return column if self._places is None else [column[i] for i in self._places]

    def fit(self, job: Job) -> bool:
        """Whether parameters and gradients still look as they did, and the states hold the same tensors."""
        return self._guards.check(*self._params, *self._of(job.grads)) and all(map(is_, map(getitem, *self._at), self._kept))


class _Served(_Together):
    """Tensors that torch's own kernel advances."""

    def __init__(self, job: Job, lanes: Sequence[Lane], places: Sequence[int]) -> None:
        super().__init__(job, lanes, places)
        self._fused = lanes[places[0]].fused
        self._column_of = {key: [lanes[i].kept[at] for i in places] for at, key in enumerate(self._keys)}
        self._own = TensorGuards(*self._kept, dynamic_dims_sizes=None, dynamic_dims_strides=None) if self._kept else None

    def fit(self, job: Job) -> bool:
        """Whether the states look as they did, too: torch's kernel takes memory in order, whatever its strides."""
        return super().fit(job) and (self._own is None or self._own.check(*self._kept))

    def run(self, job: Job, numbers: Sequence[Numbers]) -> None:
        numbers, grads = self._of(numbers), self._of(job.grads)
        if numbers.count(numbers[0]) == len(numbers):
            self._step(self._params, grads, self._column_of, numbers[0])
            return
        for one in {id(each): each for each in numbers}.values():
            mine = [each is one for each in numbers]
            columns = {key: [*compress(column, mine)] for key, column in self._column_of.items()}
            self._step([*compress(self._params, mine)], [*compress(grads, mine)], columns, one)

    def _step(
        self, ps: Sequence[Tensor], gs: Sequence[Tensor], state: Mapping[str, Sequence[Tensor]], numbers: Numbers
    ) -> None:
        assert self._fused is not None
        self._fused.step(ps, gs, state, numbers.rule, numbers.tick)


class _Columns(_Together):
    """Tensors that one compiled function of ours advances, called for each."""

    def __init__(self, job: Job, lanes: Sequence[Lane], places: Sequence[int]) -> None:
        super().__init__(job, lanes, places)
        ways = [way for i in places if (way := lanes[i].way) is not None]
        assert ways[0].raw is not None  # that is what they have in common
        self._entry, origins = ways[0].raw
        first = lanes[places[0]]
        self._dtype, self._device = first.dtype, first.p.device
        self._h = Vector(len(first.structure.layout), first.dtype)
        self._lengths = [p.numel() for p in self._params]
        self._planes = [*zip(*(way.planes for way in ways), strict=True)]
        self._given = itemgetter(*(-1 if i is None else i for i in origins))
        own = {*map(id, self._kept)}
        words = any(id(plane) not in own for way in ways for plane in way.planes)
        self._halves = self._kept if words else []  # of words, which are views of memory that these may leave
        self._memory = [*map(Tensor.data_ptr, self._halves)]

    def fit(self, job: Job) -> bool:
        """Whether memory is where it was, too."""
        return super().fit(job) and [*map(Tensor.data_ptr, self._halves)] == self._memory

    def run(self, job: Job, numbers: Sequence[Numbers]) -> None:
        numbers = self._of(numbers)
        one = numbers[0]
        hs: Iterable[Tensor]
        if numbers.count(one) == len(numbers):
            hs = repeat(self._h.written(one))
        else:
            hs = [each.packed(self._dtype, self._device) for each in numbers]
        columns = self._params, self._of(job.grads), *self._planes, hs, self._lengths
        deque(map(self._entry, *self._given(columns)), maxlen=0)


def identical(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two columns hold the same objects."""
    return len(a) == len(b) and all(map(is_, a, b))


def _by_address(p: Tensor, g: Tensor) -> bool:
    """Whether the addresses of a parameter, its gradient and its state say all that a compiled function has to know."""
    return (
        p.numel() <= CHUNK
        and not p.is_complex()
        and type(p) in {Tensor, torch.nn.Parameter}
        and type(g) is Tensor
        and g.dtype == p.dtype
        and g.device == p.device
        and g.shape == p.shape
        and (g.stride() == p.stride() or (g.is_contiguous() and p.is_contiguous()))
        and not g.is_neg()
        and not p.is_neg()
    )
