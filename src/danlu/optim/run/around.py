"""Evaluating a model beside its parameters, for rules whose gradient is taken elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from danlu.optim.run.job import Job, Round
from danlu.optim.run.views import compute_dtype, real

__all__ = ["beside", "displaced"]


def beside(job: Job, climbing: bool) -> Job | None:
    """Return the job that goes from the parameters to where their rule takes its gradient; None where that is at hand.

    Args:
        job: the tensors, with their gradients at the parameters.
        climbing: whether the rule maximizes.
    """
    if job.rule.beside is None:
        return None
    states = [{"step": (state or {}).get("step", 0)} for state in job.states]
    lr = 1.0 if climbing else -1.0  # against the way of the rule
    return Job(job.params, job.grads, states, job.rule.beside, job.group, lr, 1.0)


@contextmanager
def displaced(jobs: Sequence[Job]) -> Iterator[bool]:
    """Inside the block every parameter is where its job's stateless rule steps to; then it is back, bit for bit.

    Sums over all tensors are taken before anything moves.

    Args:
        jobs: a job per group.

    Yields:
        Whether the sums are finite; if not, nothing was moved.
    """
    work = Round(jobs, {}, math.nan)
    finite = work.settle()
    kept: list[tuple[Tensor, Tensor]] = []
    try:
        with torch.no_grad():
            for job in jobs if finite else ():
                for here, g, numbers in zip(job.params, job.grads, work.numbers(job), strict=True):
                    kept.append((here, here.detach().clone()))
                    p, dtype = real(here), compute_dtype(here)
                    there, _ = job.rule.structure.step(p.to(dtype), real(g).to(dtype), {}, numbers.bound(dtype), p.dtype)
                    p.copy_(there)
        yield finite
    finally:
        with torch.no_grad():
            for p, old in kept:
                p.copy_(old)
