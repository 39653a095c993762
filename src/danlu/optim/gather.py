"""What a step has to do in one group: which tensors have a gradient, and whether their state is complete."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from itertools import repeat
from operator import is_, is_not
from typing import Any

import torch
from torch import Tensor

from danlu.optim.members import refuse_capture, refuse_rate, refuse_sparse
from danlu.optim.plan import Plan
from danlu.optim.run.job import Job
from danlu.optim.run.words import paired
from danlu.optim.state import fresh

__all__ = ["complete", "job_of", "kept_by"]

States = MutableMapping[Tensor, dict[str, Any]]


def job_of(
    owner: str, plan: Plan, index: int, group: Mapping[str, Any], params: Sequence[Tensor], states: States
) -> Job | None:
    """Return the job of those parameters that have a gradient, with their states as far as they exist; None if none has.

    Args:
        owner: name of the optimizer, for messages.
        plan: the plan of the group.
        index: index of the group.
        group: the group.
        params: parameters of the group, or all of them.
        states: of all parameters; only read.

    Raises:
        ValueError: for a sparse gradient, or an lr out of its range.
    """
    lr = group["lr"]
    if lr is not plan.lr or isinstance(lr, Tensor):  # a tensor may have been written in place
        refuse_rate(lr, owner)
        plan.lr = lr
    grads: Sequence[Any] = [p.grad for p in params]
    if not all(map(is_not, grads, repeat(None))):
        params = [p for p in params if p.grad is not None]
        grads = [g for g in grads if g is not None]
    if not params:
        return None
    job = Job(params, grads, _entries(states, params), plan.rule, index, float(lr), float(group["peak_lr"]))
    job.known = plan.lanes.fit(job)
    if not job.known and any(g.layout is not torch.strided for g in grads):
        refuse_sparse(group, owner)
    return job


def kept_by(job: Job, groups: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the host numbers that a group's pieces share, as the last step left them.

    They are of sums over all tensors, or of the loss: a group that steps for the first time beside others of its kind goes on
    from theirs. An estimate of its own would begin where theirs was long ago.
    """
    own: Mapping[str, Any] = groups[job.group].get("shared", {})
    if own or not job.rule.shared:
        return own
    return next((x for group in groups if (x := group.get("shared", {})).keys() == job.rule.shared.keys()), own)


def _entries(states: States, params: Sequence[Tensor]) -> list[Any]:
    """The state of each parameter, or None; looked up only where there are others too: the hash of a tensor is slow."""
    if len(states) == len(params) and all(map(is_, states, params)):
        return [*states.values()]
    return [*map(states.get, params)]


def complete(job: Job, plan: Plan, states: States) -> None:
    """Give each tensor of a job everything that its rule keeps: a state may be new, and a rule may have gained a slot.

    Raises:
        RuntimeError: while a CUDA graph records, or for a parameter that has another shape than its state: kernels would
            write beyond it.
    """
    refuse_capture(job.params[0])
    if job.known:
        return
    job.states = [states[p] for p in job.params]
    for p, state in zip(job.params, job.states, strict=True):
        if plan.lanes.complete.get(p) != p.shape or "step" not in state:
            for key, value in {"step": 0, **plan.rule.memory, **fresh(plan.rule, p)}.items():
                kept = state.setdefault(key, value)
                if isinstance(value, Tensor) and kept.shape != value.shape:
                    raise RuntimeError(
                        f"{plan.builder.name}: {key!r} of a parameter has shape {tuple(kept.shape)}, the parameter asks for "
                        f"{tuple(value.shape)}: its data have another size; delete optimizer.state[parameter] to begin it anew"
                    )
            state.update(paired(state, p, plan.rule))
            plan.lanes.complete[p] = p.shape
