"""A model and its optimizer, lent for a trial and given back bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from danlu.train.gradients import optimized
from danlu.train.replay import Surroundings

__all__ = ["borrowed"]


@contextmanager
def borrowed(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Whatever the block does, afterwards the model and the optimizer are what they were, bit for bit.

    That is weights, buffers, gradients, modes, the optimizer's state and options, and the random states of torch,
    Python and NumPy. The copies are on the CPU, so that a trial has the device's memory that a run would have.

    Args:
        model: what is lent.
        optimizer: of it.

    Yields:
        Nothing.
    """
    surroundings, python, numpy = Surroundings(model), random.getstate(), np.random.get_state()  # noqa: NPY002 - it is the one others draw from
    modes = [(module, module.training) for module in model.modules()]
    parameters = list(dict.fromkeys((*model.parameters(), *optimized(optimizer))))
    weights = [(p, p.detach().to("cpu", copy=True), p.grad, p.requires_grad) for p in parameters]
    state = {p: _keeper(entries) for p, entries in optimizer.state.items()}
    options = [
        {key: (lambda same=value: same) if key == "params" else _keeper(value) for key, value in group.items()}
        for group in optimizer.param_groups
    ]
    for p in parameters:
        p.grad = None
    try:
        yield
    finally:
        with torch.no_grad():
            for p, saved, gradient, requires in weights:
                p.copy_(saved)
                p.requires_grad_(requires)
                p.grad = gradient
        surroundings.restore()
        optimizer.state.clear()
        optimizer.state.update({p: keep() for p, keep in state.items()})
        for group, saved in zip(optimizer.param_groups, options, strict=True):
            group.clear()
            group.update({key: keep() for key, keep in saved.items()})
        for module, training in modes:
            module.training = training
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _keeper(value: Any) -> Callable[[], Any]:
    """Remember a value; what is returned gives it back: the same tensors with the old numbers, in new containers."""
    if isinstance(value, Tensor):
        saved = value.detach().to("cpu", copy=True)
        return lambda: _filled(value, saved)
    if isinstance(value, dict):
        kept = {key: _keeper(each) for key, each in value.items()}
        return lambda: {key: keep() for key, keep in kept.items()}
    if type(value) in {list, tuple}:
        items = [_keeper(each) for each in value]
        return lambda: type(value)(keep() for keep in items)
    return lambda: value


def _filled(tensor: Tensor, saved: Tensor) -> Tensor:
    with torch.no_grad():
        return tensor.copy_(saved)
