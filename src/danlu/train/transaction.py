"""All or nothing, for optimizers that move the weights while they still evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch

from danlu.train.gradients import optimized

__all__ = ["transaction"]


@contextmanager
def transaction(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Either the block completes, or weights, state and options of the optimizer are what they were before it.

    A line search or a sharpness step has already moved the weights when an evaluation finds a nan. The price is a
    copy of the weights and of the state in every update, small beside the repeated evaluations but not in memory.

    Args:
        optimizer: whose parameters, ``state`` and ``param_groups`` are kept.

    Yields:
        Nothing; the block is the step.
    """
    weights = [(p, p.detach().clone()) for p in optimized(optimizer)]
    state = {p: deepcopy(entries) for p, entries in optimizer.state.items()}
    options = [
        {key: value if key == "params" else deepcopy(value) for key, value in group.items()} for group in optimizer.param_groups
    ]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for p, saved in weights:
                p.copy_(saved)
        optimizer.state.clear()
        optimizer.state.update(state)
        for group, saved in zip(optimizer.param_groups, options, strict=True):
            group.clear()
            group.update(saved)
        raise
