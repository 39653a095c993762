"""A step whose numbers lie in device memory, so that a recording of it can be replayed with the numbers of a later step."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.rule import ByPath, Layout, Rule
from danlu.optim.run.course import Lanes, identical
from danlu.optim.run.hooks import uncast
from danlu.optim.run.job import Job, Round
from danlu.optim.run.lane import Lane
from danlu.optim.run.numbers import Numbers, Settled, code_of
from danlu.optim.run.runner import Runner
from danlu.optim.run.views import compute_dtype
from danlu.optim.values import Scalar, Scalars, Tick

__all__ = ["Fed", "FedStep", "Guarded", "guarded", "host_reads"]


class Guarded(Rule):
    """A rule that the device may call off: where its last number, "go", is 0, parameter and state stay what they were.

    For steps in which a rule measures: when they are queued the host does not know yet whether the sums are finite.
    """

    @cached_property
    def settling(self) -> Layout:
        """Where each number that measures settle belongs; "go" comes last."""
        return (*super().settling, ("", "go"))

    @property
    def tail(self) -> None:
        """None: the state that is kept before a tail acts would not wait for the verdict."""
        return None

    def finish(self, c: Context, h: ByPath) -> tuple[Tensor, dict[str, Tensor]]:
        """Act from the direction on; or return what was there before."""
        moved, new = super().finish(c, h)
        go = torch.as_tensor(h[""]["go"], device=c.p.device) > 0
        return torch.where(go, moved, c.p), {key: torch.where(go, x, c.old[key]) for key, x in new.items()}


def guarded(rules: Sequence[Rule]) -> list[Rule]:
    """Return the rules of one step as ones that are all called off where a sum is not finite; as they are if none measures."""
    if not any(rule.measures for rule in rules):
        return [*rules]
    return [Guarded(**{f.name: getattr(rule, f.name) for f in fields(rule)}) for rule in rules]


def host_reads(rule: Rule, events: bool) -> list[int]:
    """Where in the layout those numbers are that a law takes from the host: those that are events, or the others."""
    own = {path: piece.events if events else piece.reads_on_host for path, piece in rule.pieces.items()}
    return [i for i, (path, name) in enumerate(rule.layout) if name in own.get(path, ())]


class Fed(Numbers):
    """Numbers in vectors that stay where they are: a recorded step reads them, and `renew` lays those of another tick there.

    Args:
        rule: the rule, guarded in a step that measures.
        host: the numbers to begin with.
        dtypes: what the tensors are computed in.
        device: of the tensors.
        after: the rule of what follows the direction, where that runs by itself; or None.

    Attributes:
        host: the numbers that lie there now.
    """

    def __init__(
        self, rule: Rule, host: Numbers, dtypes: frozenset[torch.dtype], device: torch.device, after: Rule | None = None
    ) -> None:
        super().__init__(rule, host.tick, {})
        self.host = host
        self._events, self._read = host_reads(rule, True), host_reads(rule, False)
        self._vectors = {dtype: Numbers.packed(self, dtype, device) for dtype in dtypes}
        self._after = None if after is None else Fed(after, host.tail, dtypes, device)

    @property
    def tail(self) -> Fed:
        """The numbers of what follows the direction."""
        assert self._after is not None
        return self._after

    def renew(self, host: Numbers) -> None:
        """Lay other numbers of the same rule into the vectors, without waiting for the device."""
        self.host = host
        for dtype, h in self._vectors.items():
            own = torch.frombuffer(array(code_of(dtype), host.floats), dtype=dtype)
            h[: len(own)].copy_(own, non_blocking=True)
        if self._after is not None:
            self._after.renew(host.tail)

    def settle(self, settled: Settled) -> None:
        """Write what measures came to so far, on the device."""
        for place, (path, name) in enumerate(self.rule.settling, len(self.floats)):
            if name in settled.get(path, {}):
                for h in self._vectors.values():
                    h[place] = settled[path][name]

    @property
    def lr(self) -> Any:
        """The learning rate in force, on the device."""
        return next(iter(self._vectors.values()))[0]

    def packed(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The vector of a dtype."""
        return self._vectors[dtype]

    def bound(self, dtype: torch.dtype) -> Mapping[str, Scalars]:
        """The elements of that vector by piece and name, but for what a law takes from the host."""
        values: list[Scalar] = [*self._vectors[dtype].unbind()]
        for i in (*self._events, *self._read):
            values[i] = self.host.floats[i]
        return self.rule.structure.bind(values)

    @property
    def eventful(self) -> bool:
        """Whether the law decomposes matrices in this step."""
        return any(self.host.floats[i] for i in self._events)

    @property
    def taken(self) -> tuple[float, ...]:
        """The numbers of this step that are part of what is recorded."""
        return tuple(self.host.floats[i] for i in self._read)


class FedStep:
    """The step of an optimizer over the same tensors again and again, in three parts of which the second may be recorded.

    `feed` lays the next numbers out, `act` does all that the device has to do, `count` keeps the host in step.

    Args:
        jobs: the tensors, with complete states.
        runners: how those of each group run; see `guarded`.

    Attributes:
        jobs: the tensors, without gradients.
        go: whether the last step was taken, where a rule measures; or None.
        skipped: how many were called off; or None.
    """

    def __init__(self, jobs: Sequence[Job], runners: Mapping[int, Runner]) -> None:
        self.jobs = [Job(job.params, [], job.states, job.rule, job.group, job.lr, job.peak_lr) for job in jobs]
        self._lanes = {group: Lanes(runner) for group, runner in runners.items()}
        self._fed: dict[int, list[Fed]] = {}
        measuring = [job.params[0].device for job in jobs if job.rule.measures]
        self.go = torch.ones((), dtype=torch.bool, device=measuring[0]) if measuring else None
        self.skipped = torch.zeros((), dtype=torch.int64, device=measuring[0]) if measuring else None
        round_ = Round(jobs, {}, math.nan)
        for job in jobs:
            dtypes, hosts = frozenset(map(compute_dtype, job.params)), round_.numbers(job)
            runner, device = runners[job.group], job.params[0].device
            after = None if runner.tail is None else runner.tail.rule
            own = {host: Fed(runner.rule, host, dtypes, device, after) for host in set(hosts)}
            self._fed[job.group] = [own[host] for host in hosts]

    def feed(self, jobs: Sequence[Job]) -> None:
        """Lay out the numbers of the next step; the jobs have the same tensors, and what the groups say now."""
        round_ = Round(jobs, {}, math.nan)
        for job in jobs:
            hosts = dict(zip(self._fed[job.group], round_.numbers(job), strict=True))
            for fed, host in hosts.items():
                fed.renew(host)

    @property
    def kind(self) -> tuple[float, ...] | None:
        """The same for steps of which one recording serves all; None for one that cannot be recorded."""
        every = dict.fromkeys(fed for column in self._fed.values() for fed in column)
        return None if any(fed.eventful for fed in every) else tuple(x for fed in every for x in fed.taken)

    def fits(self, jobs: Sequence[Job]) -> bool:
        """Whether states and memory are what they were; the jobs have the same tensors, and the states that there are now."""
        if not all(identical(now.states, then.states) for now, then in zip(jobs, self.jobs, strict=True)):
            return False
        lanes = [lane for own in self._lanes.values() for lane in own.of.items()]
        states = {p: state for job in jobs for p, state in zip(job.params, job.states, strict=True)}
        return all(lane.fits(p, states[p]) for p, lane in lanes)

    @uncast
    def act(self, jobs: Sequence[Job]) -> None:
        """Advance the tensors; nothing is read on the host.

        Raises:
            RuntimeError: for other tensors.
        """
        if len(jobs) != len(self.jobs) or not all(identical(a.params, b.params) for a, b in zip(jobs, self.jobs, strict=True)):
            raise RuntimeError(
                "graphed: other parameters have a gradient than in the iteration before; it must do the same again"
            )
        courses = [self._lanes[job.group].course(job) for job in jobs]
        work = _FedRound(jobs, {job.group: self._lanes[job.group].of for job in jobs}, self._fed)
        work.settle()
        if self.go is not None and self.skipped is not None and work.go is not None:
            self.go.copy_(work.go)
            self.skipped += ~work.go
        for course, job in zip(courses, jobs, strict=True):
            course.run(job, work.numbers(job))
        for job in jobs:
            torch.autograd.graph.increment_version(job.params)

    def count(self) -> None:
        """Keep the step counts, and what else the host keeps of a tensor, after a step was queued."""
        for job in self.jobs:
            for state, fed in zip(job.states, self._fed[job.group], strict=True):
                state.update({"step": fed.host.t, **fed.host.remembered})


class _FedRound(Round):
    """The sums over all tensors, with the verdict over them left on the device.

    Attributes:
        go: whether all sums are finite so far; None before the first.
    """

    def __init__(
        self, jobs: Sequence[Job], lanes: Mapping[int, Mapping[Tensor, Lane]], fed: Mapping[int, Sequence[Fed]]
    ) -> None:
        super().__init__(jobs, {}, math.nan, lanes)
        self._fed = fed
        self.go: Tensor | None = None

    def _finite(self, sums: Mapping[str, Tensor]) -> bool:
        for total in sums.values():
            fine = torch.isfinite(total).all()
            self.go = fine if self.go is None else self.go & fine
        return True

    def _tick(self, job: Job) -> Tick:
        """The group's tick with lr on the device; a measure settles by nothing else that a step changes."""
        first = self._fed[job.group][0]
        return first.host.tick._replace(lr=first.lr)

    def numbers(self, job: Job) -> list[Numbers]:
        """Return the numbers of each tensor, with what is settled so far."""
        settled = self.settled[job.group] if self.go is None else {**self.settled[job.group], "": {"go": self.go}}
        for fed in set(self._fed[job.group]):
            fed.settle(settled)
        return [*self._fed[job.group]]
