"""One step over many tensors: who steps, with which numbers, after which sums over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.run.numbers import Numbers
from danlu.optim.run.views import compute_dtype, real

__all__ = ["Job", "numbered", "settled"]


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


def numbered(jobs: Iterable[Job], totals: Mapping[int, Sequence[Tensor]]) -> Iterator[tuple[Job, Numbers]]:
    """Yield each job with the numbers of its tick; tensors of one group at one step share them."""
    shared: dict[tuple[Any, ...], Numbers] = {}
    for job in jobs:
        memory = {key: job.state[key] for key in job.rule.memory}
        key = (job.group, job.state["step"], *memory.values())
        if key not in shared:
            tick = job.rule.tick(job.state["step"] + 1, job.lr, job.peak_lr, memory)
            shared[key] = Numbers(job.rule, tick, totals[job.group])
        yield job, shared[key]


def settled(jobs: Sequence[Job]) -> dict[int, list[Tensor]] | None:
    """Measure, reduce over all tensors, and settle, one measure after the other.

    Groups whose rules measure the same thing share one total: a global norm is global over groups.

    Returns:
        Group index -> the settled totals of its rule's measures in their order, or None when a total is not finite.
    """
    totals: dict[int, list[Tensor]] = {job.group: [] for job in jobs}
    for depth in range(max((len(job.rule.measures) for job in jobs), default=0)):
        # An empty tensor is left out: some measures, such as a largest magnitude, have no value there.
        asking = [job for job in jobs if len(job.rule.measures) > depth and job.p.numel()]
        sums = _reduced(asking, depth, totals)
        if not all(bool(torch.isfinite(total)) for total in sums.values()):
            return None
        for group, rule in {job.group: job.rule for job in asking}.items():
            _, piece = rule.measures[depth]
            totals[group].append(piece.settle(sums[repr(piece.structure())]))
    return totals


def _reduced(jobs: Sequence[Job], depth: int, totals: Mapping[int, Sequence[Tensor]]) -> dict[str, Tensor]:
    """The sum (or maximum) over all tensors of each different measure at one depth."""
    sums: dict[str, Tensor] = {}
    for job, numbers in numbered(jobs, totals):
        index, piece = job.rule.measures[depth]
        dtype = compute_dtype(job.p)
        part = job.rule.measure(index, real(job.p).to(dtype), real(job.g).to(dtype), numbers.bound())
        key = repr(piece.structure())
        join = torch.maximum if piece.reduction == "max" else torch.add
        sums[key] = join(sums[key], part.to(sums[key].device)) if key in sums else part
    return sums
