"""Evaluation: the mean loss and measures over all items of all batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from danlu.loss import as_loss_sum
from danlu.train.batch import device_of, to_device
from danlu.train.tally import Tally

__all__ = ["evaluate"]


def evaluate(
    model: nn.Module, loss: Callable[[nn.Module, Any], Any], batches: Iterable[Any], prefix: str = "valid"
) -> dict[str, float]:
    """(Σ totals)/(Σ counts) over all batches, in eval mode and without gradients; exact for ragged batches.

    Every module goes back to the mode that it was in, also when the loss function raises.

    Args:
        model: what is evaluated.
        loss: ``loss(model, batch)``, as in training; a bare mean is refused, since batches may differ in size.
        batches: the data; moved to the model's device.
        prefix: of the names.

    Returns:
        ``{"valid/loss": …}`` and one entry per measure; nan where nothing was counted.

    Raises:
        ValueError: when there is no batch.
    """
    modes = [(module, module.training) for module in model.modules()]
    device = device_of(model)
    tally, empty = Tally(), True
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                part = as_loss_sum(loss(model, to_device(batch, device))).detach()
                tally.add(part.total, part.count, part.measures)
                empty = False
    finally:
        for module, training in modes:
            module.training = training
    if empty:
        raise ValueError(f"evaluate: the {prefix} data gave no batch; a generator can be read only once, give a list")
    return tally.means(prefix)
