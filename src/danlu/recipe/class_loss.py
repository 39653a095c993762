"""The loss that a classifier is trained with, where a recipe asks for another than the one it is judged by."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, final

import torch
from torch import nn

from danlu.loss import LossSum, SmoothAll, create, logit_adjusted
from danlu.recipe.problems import RecipeError
from danlu.recipe.recipe import Recipe
from danlu.task import Parts, predict
from danlu.train import Callback

__all__ = ["ClassLoss"]


@final
class ClassLoss(Callback):
    """The recipe's loss of classes, its reduction, smoothed targets, adjusted logits; evaluations keep the task's loss.

    Args:
        parts: of the task; the frequencies that logits are adjusted by are those of its training data.
        recipe: with `loss`, `reduce`, `label_smoothing` (ε of `danlu.loss.SmoothAll`) and `logit_adjustment` (τ of
            `danlu.loss.logit_adjusted`).

    Raises:
        RecipeError: when the task does not train a classifier by cross-entropy, or two of them do not go together.
    """

    phase = -50  # before `Mix`, which takes this loss for either part of a mixture

    def __init__(self, parts: Parts, recipe: Recipe) -> None:
        if parts.loss is not predict:
            raise RecipeError([f"{self._asked(recipe)[0]}: task {recipe.task!r} has no classes; leave it out"])
        name = _name(recipe.loss)
        if recipe.reduce != "none" and (recipe.accumulate > 1 or recipe.micro_batch != "none"):
            raise RecipeError(["reduce: goes by all items of a batch at once; needs accumulate = 1 and micro_batch = 'none'"])
        if recipe.logit_adjustment and name not in {"none", "cross_entropy"}:
            raise RecipeError([f"logit_adjustment: goes with cross_entropy and not with loss {name!r}; leave one of them out"])
        law = create("cross_entropy" if name == "none" else recipe.loss)
        if recipe.label_smoothing and "smoothing" not in inspect.signature(law).parameters:
            raise RecipeError([f"label_smoothing: loss {name!r} takes hard targets only; leave one of them out"])
        if recipe.logit_adjustment:
            labels = torch.cat([batch[1].flatten() for batch in parts.train.epoch(0)])
            counts = labels.bincount(minlength=parts.model(next(parts.train.epoch(0))[0]).shape[-1])
            law = partial(logit_adjusted, frequency=counts, tau=recipe.logit_adjustment)
        options = {"smoothing": SmoothAll(recipe.label_smoothing)} if recipe.label_smoothing else {}
        self._law = partial(law, **options, **({} if recipe.reduce == "none" else {"reduce": create(recipe.reduce)}))

    @classmethod
    def wanted(cls, recipe: Recipe) -> bool:
        """Whether a recipe asks for another loss than the task's."""
        return bool(cls._asked(recipe))

    @staticmethod
    def _asked(recipe: Recipe) -> list[str]:
        off = {"loss": "none", "reduce": "none", "label_smoothing": 0.0, "logit_adjustment": 0.0}
        return [key for key, value in off.items() if getattr(recipe, key) != value]

    def loss(self, loss: Callable[[nn.Module, Any], Any]) -> Callable[[nn.Module, Any], LossSum]:
        """Return the loss to train with."""

        def other(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> LossSum:
            inputs, target = batch
            return self._law(model(inputs), target)

        return other


def _name(entry: Any) -> str:
    return entry if isinstance(entry, str) else entry["name"]
