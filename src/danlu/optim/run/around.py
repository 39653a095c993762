"""Evaluating a model beside its parameters, for rules whose gradient is taken elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from danlu.optim.run.job import Job, Round
from danlu.optim.run.views import compute_dtype, real

__all__ = ["displaced"]


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
