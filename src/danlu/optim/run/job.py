"""One step over many tensors: who steps, with which numbers, after which sums over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from danlu.optim.piece import Measured, OfGradient
from danlu.optim.rule import Rule
from danlu.optim.run.lane import Lane
from danlu.optim.run.numbers import Numbers
from danlu.optim.run.views import compute_dtype, real
from danlu.optim.values import Kept, Tick

__all__ = ["Job", "Round"]


class Job:
    """The tensors of one group that step now, at least one.

    Args:
        params: the parameters.
        grads: their gradients.
        states: their states.
        rule: the rule of the group.
        group: index of the group.
        lr: the group's learning rate.
        peak_lr: the group's reference learning rate.

    Attributes:
        known: whether these are the tensors of the last step, with states that are complete.
    """

    __slots__ = ("grads", "group", "known", "lr", "params", "peak_lr", "rule", "states")

    def __init__(
        self,
        params: Sequence[Tensor],
        grads: Sequence[Tensor],
        states: Sequence[dict[str, Any]],
        rule: Rule,
        group: int,
        lr: float,
        peak_lr: float,
    ) -> None:
        self.params, self.grads, self.states, self.rule = params, grads, states, rule
        self.group, self.lr, self.peak_lr = group, lr, peak_lr
        self.known = False


class Round:
    """The numbers of one step over many tensors.

    Args:
        jobs: the tensors that step, a job per group.
        kept: group index -> the host numbers that its pieces share, as the last step left them.
        loss: the loss that the step was given, or nan.
        lanes: group index -> the lane of each tensor, or None for tensors that have no state.

    Attributes:
        shared: the same for this step; to be kept when the step is taken.
        settled: group index -> what its measures came to so far.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        kept: Mapping[int, Mapping[str, Kept]],
        loss: float,
        lanes: Mapping[int, Mapping[Tensor, Lane]] | None = None,
    ) -> None:
        self._jobs = jobs
        self._lanes = lanes
        self._loss = loss
        self.settled: dict[int, dict[str, Mapping[str, Tensor | float]]] = {}
        self.shared: dict[int, dict[str, Kept]] = {}
        for job in jobs:
            self.settled[job.group] = {}
            self.shared[job.group] = {**job.rule.shared, **kept.get(job.group, {})}
            if job.rule.shared:
                self.shared[job.group] = job.rule.share(self._tick(job))

    def settle(self) -> bool:
        """Measure, reduce over all tensors, and settle, one measure after the other.

        Groups whose rules measure the same thing share one sum, at whatever place of their rules: a global norm is global over
        groups. Where two rules measure the same two things in opposite orders, no such turn exists, and each has its own sums.

        Returns:
            Whether every sum is finite; if not, the step must not be taken.
        """
        of = {job.group: job for job in self._jobs if job.rule.measures}
        left = {group: list(job.rule.measures) for group, job in of.items()}
        while left:
            turn = self._turn(left, of)
            sums = self._reduced(turn)
            # The square of a float32 number may be inf in float32, and is not in float64.
            if not self._finite(sums) and not self._finite(sums := self._reduced(turn, wide=True)):
                return False
            for group, path in turn.items():
                rule = of[group].rule
                piece, total = rule.measures[path], sums.get(_kind(rule, path))
                if total is not None:  # the group has empty tensors only
                    found = piece.settle(total, self._tick(of[group]))
                    self.settled[group][path] = {name: found[name] for name in piece.settles}
                    self.shared[group] |= {key: _host(x) for key, x in found.items() if key in rule.shared}
            left = {group: rest for group, paths in left.items() if (rest := paths[1:] if group in turn else paths)}
        return True

    def _turn(self, left: Mapping[int, Sequence[str]], of: Mapping[int, Job]) -> dict[int, str]:
        """The groups whose next measure no other group comes to later, and its path; all groups when each waits for another."""
        kinds = {group: [_kind(of[group].rule, path) for path in paths] for group, paths in left.items()}
        awaited = {kind for own in kinds.values() for kind in own[1:] if kind != own[0]}
        ready = [group for group, own in kinds.items() if own[0] not in awaited] or list(left)
        return {group: left[group][0] for group in ready}

    def numbers(self, job: Job) -> list[Numbers]:
        """Return the numbers of each tensor's tick; tensors at one step share them."""
        rows = [*map(itemgetter("step", *job.rule.memory), job.states)]  # bare steps where nothing else is kept
        if rows.count(rows[0]) == len(rows):  # nearly always
            return [self._made(job, rows[0])] * len(rows)
        made = {row: self._made(job, row) for row in set(rows)}
        return [made[row] for row in rows]

    def _finite(self, sums: Mapping[str, Tensor]) -> bool:
        return all(bool(torch.isfinite(total).all()) for total in sums.values())

    def _made(self, job: Job, row: Any) -> Numbers:
        memory: dict[str, float] = {}
        step = row
        if job.rule.memory:
            step, *values = row
            memory = dict(zip(job.rule.memory, values, strict=True))
        tick = Tick(step + 1, job.lr, job.peak_lr, memory, self.shared[job.group], self._loss)
        return Numbers(job.rule, job.rule.ticked(tick), self.settled[job.group])

    def _tick(self, job: Job) -> Tick:
        """The group's own tick: of its tensor that is furthest on."""
        t = 1 + max(state["step"] for state in job.states)
        return job.rule.ticked(Tick(t, job.lr, job.peak_lr, job.rule.memory, self.shared[job.group], self._loss))

    def _reduced(self, turn: Mapping[int, str], *, wide: bool = False) -> dict[str, Tensor]:
        """The sum (or maximum) of each different measure of a turn, over all tensors but empty ones: no maximum there."""
        sums: dict[str, Tensor] = {}
        together: dict[tuple[str, torch.device, torch.dtype], tuple[OfGradient, list[Tensor]]] = {}

        def join(key: str, piece: Measured, part: Tensor) -> None:
            joined = torch.maximum if piece.reduction == "max" else torch.add
            sums[key] = joined(sums[key], part.to(sums[key].device)) if key in sums else part

        for job in self._jobs:
            if (path := turn.get(job.group)) is None:
                continue
            key, piece = _kind(job.rule, path), job.rule.measures[path]
            if path == "grad.0" and isinstance(piece, OfGradient):  # sees gradients as they came: all of them at once
                for p, g in zip(job.params, job.grads, strict=True):
                    if p.numel():
                        together.setdefault((key, g.device, compute_dtype(p)), (piece, []))[1].append(real(g))
            else:
                for part in self._parts(job, path):
                    join(key, piece, part)
        for (key, _, dtype), (piece, grads) in together.items():
            join(key, piece, piece.joined(grads, torch.float64 if wide else dtype))
        return sums

    def _parts(self, job: Job, path: str) -> Iterator[Tensor]:
        """The share of each tensor of a job in the measure at `path`."""
        for p, g, numbers in zip(job.params, job.grads, self.numbers(job), strict=True):
            if p.numel() and self._lanes is not None:
                yield self._lanes[job.group][p].measure(path, g, numbers)
            elif p.numel():
                dtype = compute_dtype(p)
                whole, slope = real(p.detach()).to(dtype), real(g).to(dtype)
                yield job.rule.structure.measure(path, whole, slope, {}, numbers.bound(dtype))


def _kind(rule: Rule, path: str) -> str:
    """What tells measures of several rules apart: the piece without its numbers."""
    return repr(rule.measures[path].structure())


def _host(x: Kept) -> Kept:
    """A settled number as the group keeps it: no tensor; a tuple is one of host numbers already."""
    return x if isinstance(x, tuple) else float(x)
