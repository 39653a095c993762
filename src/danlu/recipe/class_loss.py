"""The loss that a classifier is trained with, where a recipe asks for another than the one it is judged by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import nn

from danlu.loss import LossSum, SmoothAll, cross_entropy, logit_adjusted
from danlu.recipe.problems import RecipeError
from danlu.task import Parts, predict
from danlu.train import Callback

__all__ = ["ClassLoss"]


@final
class ClassLoss(Callback):
    """Cross-entropy with smoothed targets, and with logits adjusted by the classes' frequencies; evaluations keep the task's.

    Args:
        parts: of the task; the frequencies are those of its training data.
        smoothing: ε of `danlu.loss.SmoothAll`; 0 for none.
        adjustment: τ of `danlu.loss.logit_adjusted`; 0 for none.

    Raises:
        RecipeError: when the task does not train a classifier by cross-entropy.
    """

    phase = -50  # before `Mix`, which takes this loss for either part of a mixture

    def __init__(self, parts: Parts, smoothing: float, adjustment: float) -> None:
        if parts.loss is not predict:
            raise RecipeError(["label_smoothing and logit_adjustment are for tasks of classes, which this one is not"])
        self._smoothing = SmoothAll(smoothing) if smoothing else None
        self._tau, self._counts = adjustment, None
        if adjustment:
            labels = torch.cat([batch[1].flatten() for batch in parts.train.epoch(0)])
            self._counts = labels.bincount(minlength=parts.model(next(parts.train.epoch(0))[0]).shape[-1])

    def loss(self, loss: Callable[[nn.Module, Any], Any]) -> Callable[[nn.Module, Any], LossSum]:
        """Return the loss to train with."""

        def other(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> LossSum:
            inputs, target = batch
            if self._counts is None:
                return cross_entropy(model(inputs), target, smoothing=self._smoothing)
            return logit_adjusted(model(inputs), target, self._counts, tau=self._tau, smoothing=self._smoothing)

        return other
