"""What is wrapped around a step: hooks and the profiler's label, only where somebody listens; autograd and autocast, off."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch.autograd import profiler
from torch.optim import optimizer as torch_optimizer

__all__ = ["heard", "uncast", "unrecorded"]

P = ParamSpec("P")
T = TypeVar("T")


def heard(step: Callable[P, T]) -> Callable[P, T]:
    """Return `step` with torch's wrapper around it, which is left out while there is neither a hook nor a profiler.

    torch puts that wrapper around the step of every optimizer class; it takes longer than the step of a tiny model.
    """
    full = torch.optim.Optimizer.profile_hook_step(step)

    @wraps(step)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        this = args[0]
        assert isinstance(this, torch.optim.Optimizer)
        listening = (
            profiler._is_profiler_enabled
            or this._optimizer_step_pre_hooks
            or this._optimizer_step_post_hooks
            or torch_optimizer._global_optimizer_pre_hooks
            or torch_optimizer._global_optimizer_post_hooks
        )
        return full(*args, **kwargs) if listening else step(*args, **kwargs)

    wrapper.__dict__["hooked"] = True  # torch's mark of a step that it need not wrap
    return wrapper


def unrecorded(step: Callable[P, T]) -> Callable[P, T]:
    """Return `step` as ``torch.no_grad()`` would decorate it, in a fifth of the time: a flag instead of two objects."""

    @wraps(step)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            return step(*args, **kwargs)
        finally:
            torch._C._set_grad_enabled(before)

    return wrapper


def uncast(work: Callable[P, T]) -> Callable[P, T]:
    """Return `work` with autocast off, which would round the matrix products of a rule to 16 bits, or refuse them."""

    @wraps(work)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if not torch._C._is_any_autocast_enabled():
            return work(*args, **kwargs)
        with ExitStack() as stack:
            for device in filter(torch.is_autocast_enabled, torch._C._autocast_supported_devices()):
                stack.enter_context(torch.autocast(device, enabled=False))
            return work(*args, **kwargs)

    return wrapper
