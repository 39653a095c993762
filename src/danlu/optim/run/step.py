"""One step, from the sums over all tensors to the counting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from danlu.optim.run.course import Lanes
from danlu.optim.run.hooks import uncast
from danlu.optim.run.job import Job, Round
from danlu.optim.values import Kept

__all__ = ["advance"]


@uncast
def advance(
    jobs: Sequence[Job], lanes: Mapping[int, Lanes], kept: Mapping[int, Mapping[str, Kept]], loss: float
) -> Mapping[int, Mapping[str, Kept]] | None:
    """Advance the tensors of all jobs by one step.

    Args:
        jobs: a job per group, with complete states.
        lanes: how the tensors of each group run.
        kept: group -> the host numbers that its pieces share, as the last step left them.
        loss: the loss that the step was given, or nan.

    Returns:
        The host numbers to keep for each group; None when a sum over tensors is not finite, and nothing has changed then.
    """
    courses = [lanes[job.group].course(job) for job in jobs]
    work = Round(jobs, kept, loss, {job.group: lanes[job.group].of for job in jobs})
    if not work.settle():
        return None
    ready = [(course, job, work.numbers(job)) for course, job in zip(courses, jobs, strict=True)]
    for course, job, numbers in ready:  # nothing else in between: every kernel empties the cache
        course.run(job, numbers)
    for _, job, numbers in ready:
        for state, own in zip(job.states, numbers, strict=True):
            state["step"] = own.t
        if job.rule.memory:
            for state, own in zip(job.states, numbers, strict=True):
                state.update(own.remembered)
        torch.autograd.graph.increment_version(job.params)  # kernels write past autograd's bookkeeping
    return work.shared
