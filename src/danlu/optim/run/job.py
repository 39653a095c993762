"""One step over many tensors: who steps, with which numbers, after which sums over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.run.numbers import Numbers
from danlu.optim.run.views import compute_dtype, real
from danlu.optim.values import Kept, Tick

__all__ = ["Job", "Round"]


class Job:
    """One tensor that steps now.

    Args:
        p: the parameter.
        g: its gradient.
        state: its state.
        rule: the rule of its group.
        group: index of its group.
        lr: the group's learning rate.
        peak_lr: the group's reference learning rate.
    """

    __slots__ = ("g", "group", "lr", "p", "peak_lr", "rule", "state")

    def __init__(self, p: Tensor, g: Tensor, state: dict[str, Any], rule: Rule, group: int, lr: float, peak_lr: float) -> None:
        self.p, self.g, self.state, self.rule = p, g, state, rule
        self.group, self.lr, self.peak_lr = group, lr, peak_lr


class Round:
    """The numbers of one step over many tensors.

    Args:
        jobs: the tensors that step.
        kept: group index -> the host numbers that its pieces share, as the last step left them.
        loss: the loss that the step was given, or nan.

    Attributes:
        shared: the same for this step; to be kept when the step is taken.
    """

    def __init__(self, jobs: Sequence[Job], kept: Mapping[int, Mapping[str, Kept]], loss: float) -> None:
        self._jobs = jobs
        self._loss = loss
        self._settled: dict[int, dict[str, Mapping[str, Tensor | float]]] = {job.group: {} for job in jobs}
        self._first = {job.group: job for job in reversed(jobs)}
        self.shared: dict[int, dict[str, Kept]] = {}
        for group, job in self._first.items():
            self.shared[group] = {**job.rule.shared, **kept.get(group, {})}
            self.shared[group] = job.rule.share(self._tick(group))

    def settle(self) -> bool:
        """Measure, reduce over all tensors, and settle, one measure after the other.

        Groups whose rules measure the same thing share one sum, at whatever place of their rules: a global norm is global over
        groups. Where two rules measure the same two things in opposite orders, no such turn exists, and each has its own sums.

        Returns:
            Whether every sum is finite; if not, the step must not be taken.
        """
        left = {group: list(job.rule.measures) for group, job in self._first.items() if job.rule.measures}
        while left:
            turn = self._turn(left)
            sums = self._reduced(turn)
            if not all(bool(torch.isfinite(total).all()) for total in sums.values()):
                return False
            for group, path in turn.items():
                rule = self._first[group].rule
                piece, total = rule.measures[path], sums.get(_kind(rule, path))
                if total is not None:  # the group has empty tensors only
                    found = piece.settle(total, self._tick(group))
                    self._settled[group][path] = {name: found[name] for name in piece.settles}
                    self.shared[group] |= {key: _host(x) for key, x in found.items() if key in rule.shared}
            left = {group: rest for group, paths in left.items() if (rest := paths[1:] if group in turn else paths)}
        return True

    def _turn(self, left: Mapping[int, Sequence[str]]) -> dict[int, str]:
        """The groups whose next measure no other group comes to later, and its path; all groups when each waits for another."""
        kinds = {group: [_kind(self._first[group].rule, path) for path in paths] for group, paths in left.items()}
        awaited = {kind for own in kinds.values() for kind in own[1:] if kind != own[0]}
        ready = [group for group, own in kinds.items() if own[0] not in awaited] or list(left)
        return {group: left[group][0] for group in ready}

    def numbered(self, jobs: Sequence[Job] | None = None) -> Iterator[tuple[Job, Numbers]]:
        """Yield each job with the numbers of its tick; tensors of one group at one step share them."""
        made: dict[tuple[Any, ...], Numbers] = {}
        for job in self._jobs if jobs is None else jobs:
            memory = {key: job.state[key] for key in job.rule.memory}
            key = (job.group, job.state["step"], *memory.values())
            if key not in made:
                tick = Tick(job.state["step"] + 1, job.lr, job.peak_lr, memory, self.shared[job.group], self._loss)
                made[key] = Numbers(job.rule, job.rule.ticked(tick), self._settled[job.group])
            yield job, made[key]

    def _tick(self, group: int) -> Tick:
        """The group's own tick: of its tensor that is furthest on."""
        job = self._first[group]
        t = 1 + max(x.state["step"] for x in self._jobs if x.group == group)
        return job.rule.ticked(Tick(t, job.lr, job.peak_lr, job.rule.memory, self.shared[group], self._loss))

    def _reduced(self, turn: Mapping[int, str]) -> dict[str, Tensor]:
        """The sum (or maximum) of each different measure of a turn, over all tensors but empty ones: no maximum there."""
        sums: dict[str, Tensor] = {}
        for job, numbers in self.numbered([job for job in self._jobs if job.group in turn and job.p.numel()]):
            path = turn[job.group]
            dtype = compute_dtype(job.p)
            p, g = real(job.p.detach()).to(dtype), real(job.g).to(dtype)
            planes = {key: real(x) for key, x in job.state.items() if isinstance(x, Tensor)}
            part = job.rule.structure.measure(path, p, g, planes, numbers.bound(dtype))
            key = _kind(job.rule, path)
            join = torch.maximum if job.rule.measures[path].reduction == "max" else torch.add
            sums[key] = join(sums[key], part.to(sums[key].device)) if key in sums else part
        return sums


def _kind(rule: Rule, path: str) -> str:
    """What tells measures of several rules apart: the piece without its numbers."""
    return repr(rule.measures[path].structure())


def _host(x: Kept) -> Kept:
    """A settled number as the group keeps it: no tensor; a tuple is one of host numbers already."""
    return x if isinstance(x, tuple) else float(x)
