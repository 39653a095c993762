"""A problem: batches as a function of a generator, a loss, held-out data, and the level that anybody reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Batch", "Problem", "classes", "cross_entropy", "numbers", "rows", "squared_error"]

Batch = tuple[Tensor, ...]
Loss = Callable[[nn.Module, Batch], Tensor]


@dataclass(frozen=True)
class Problem:
    """What a model is trained on and how it is judged.

    Args:
        draw: makes a training batch; the only randomness of a run, so that every optimizer sees the same batches.
        loss: of a model on a batch, a mean. On `test` it is the metric: lower is better, above 0.
        test: held-out data, never drawn.
        trivial: the metric of a predictor that looks at no input.
        seen: training data for BatchNorm's statistics at an average.
    """

    draw: Callable[[torch.Generator], Batch]
    loss: Loss
    test: Batch
    trivial: float
    seen: Batch

    @torch.no_grad()
    def metric(self, model: nn.Module) -> float:
        """The held-out loss, in evaluation mode."""
        model.eval()
        value = float(self.loss(model, self.test))
        model.train()
        return value


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """Nats per prediction; logits (…, K) and classes (…)."""
    return functional.cross_entropy(model(batch[0]).flatten(0, -2), batch[1].flatten())


def squared_error(model: nn.Module, batch: Batch) -> Tensor:
    """The mean of squared errors."""
    return (model(batch[0]) - batch[1]).square().mean()


def classes(x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor, batch: int) -> Problem:
    """Rows with a class each. The trivial level is that of the training set's class shares, or of equal ones if better."""
    shares = torch.bincount(y, minlength=int(y_test.max()) + 1).float() / len(y)
    equal = torch.full_like(shares, 1 / len(shares))
    trivial = min(float(-p.log()[y_test].mean()) for p in (shares, equal))
    return Problem(rows(x, y, batch), cross_entropy, (x_test, y_test), trivial, (x, y))


def numbers(x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor, batch: int, *, scaled: bool = True) -> Problem:
    """Rows with numbers to predict, scaled by the training set if asked. The trivial level is the training set's mean."""
    if scaled:
        y, y_test = (y - y.mean(0)) / y.std(), (y_test - y.mean(0)) / y.std()
    return Problem(rows(x, y, batch), squared_error, (x_test, y_test), float((y_test - y.mean(0)).square().mean()), (x, y))


def rows(x: Tensor, y: Tensor, batch: int) -> Callable[[torch.Generator], Batch]:
    """Batches of rows drawn alike, with replacement."""

    def draw(generator: torch.Generator) -> Batch:
        rows = torch.randint(len(x), (batch,), generator=generator)
        return x[rows], y[rows]

    return draw
