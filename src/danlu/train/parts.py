"""What a trainer makes of its arguments before a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from danlu.loss import LossSum, as_loss_sum
from danlu.schedule import Duration
from danlu.train.callback import Callback, taking

__all__ = ["counted", "length_of", "model_and_optimizer"]


def model_and_optimizer(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | Callable[[nn.Module], torch.optim.Optimizer],
    callbacks: Sequence[Callback],
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return the model as the callbacks change it, and its optimizer.

    Args:
        model: as it was given.
        optimizer: of it, or a function that makes one of the changed model.
        callbacks: of which those with the point `model` change it.

    Returns:
        Both.

    Raises:
        TypeError: when the model would be changed after its optimizer was made.
    """
    changing = taking(callbacks, "model")
    if isinstance(optimizer, torch.optim.Optimizer):
        if changing:
            fix = "give the optimizer as a function of the model, such as lambda model: AdamW(model.parameters())"
            raise TypeError(f"Trainer: {changing[0].name} changes the model, whose optimizer is made already; {fix}")
        return model, optimizer
    for each in changing:
        model = each.model(model)
    return model, optimizer(model)


def counted(loss: Callable[[nn.Module, Any], Any]) -> Callable[[nn.Module, Any], LossSum]:
    """Return the loss as a sum and a count; bare means are refused, since those of batches do not add up."""
    return lambda model, batch: as_loss_sum(loss(model, batch))


def length_of(name: str, value: int | str | Duration) -> Duration:
    """Return the length that the trainer's argument `name` stands for.

    Raises:
        ValueError: when it is not understood, or none.
    """
    length = Duration.parse(value)
    if not length.amount:
        raise ValueError(f"Trainer: {name} must be longer than 0, got {value!r}")
    return length
