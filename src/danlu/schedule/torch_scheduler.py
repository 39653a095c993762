"""A schedule as a `torch.optim.lr_scheduler`, for training loops and frameworks that ask for one."""

from __future__ import annotations

from functools import partial

import torch

from danlu.schedule.schedule import Schedule

__all__ = ["torch_scheduler"]


def torch_scheduler(
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    total: int,
    steps_per_epoch: int | None = None,
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return a torch scheduler for lr; call its ``step()`` once after every update, also for ``per="epoch"``.

    Its state_dict holds numbers only (the count and the last rates), so that it loads with ``weights_only=True``; the
    schedule itself is given again when it is made again.

    Args:
        optimizer: any `torch.optim.Optimizer`.
        schedule: what each group's initial lr is multiplied by.
        total: updates of the run.
        steps_per_epoch: updates of one epoch, where the schedule needs it.

    Returns:
        The same rates as ``Scheduled(optimizer, schedule, total, steps_per_epoch)``.
    """
    # A partial pickles, unlike a lambda, and has nothing of its own that LambdaLR would put into the state_dict.
    factor = partial(schedule.factor, total=total, steps_per_epoch=steps_per_epoch)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
