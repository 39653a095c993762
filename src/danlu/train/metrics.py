"""Metrics of a whole data set from sums over its items, however it is cut into batches."""

from __future__ import annotations

import math
from typing import Any, Protocol, final, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from danlu.ranges import Count, check, hints

__all__ = ["RMSE", "Accuracy", "Mean", "Metric", "Perplexity", "Ratio", "TopK"]


@runtime_checkable
class Metric(Protocol):
    """A number about predictions that is built up batch by batch. Metrics of torchmetrics are of this form."""

    def update(self, *args: Any) -> Any:
        """Take one batch: what `predict` returned, usually (prediction, target)."""
        ...

    def compute(self) -> Any:
        """Return the number, a float or a tensor of one element."""
        ...

    def reset(self) -> Any:
        """Forget all batches."""
        ...


class Ratio:
    """f(Σ sums/Σ counts), added up in double precision on the host; nan when nothing was counted. Derive your own from it.

    Attributes:
        total: Σ sums.
        count: Σ counts.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.total = self.count = 0.0

    def compute(self) -> float:
        """Return the number."""
        return self._of(self.total / self.count) if self.count else math.nan

    def _add(self, total: Tensor | float, count: Tensor | float) -> None:
        self.total += float(total)
        self.count += float(count)

    def _of(self, mean: float) -> float:
        return mean


@final
class Mean(Ratio):
    """Σ values/number: the mean of all elements of what it is given."""

    def update(self, values: Tensor) -> None:
        """Take the values of a batch."""
        self._add(values.double().sum(), values.numel())


@final
class TopK(Ratio):
    """The share of items whose class is among the k with the highest logits.

    Args:
        k: how many; with as many as there are classes it is 1.
        ignore: the target that says that an item does not count.
    """

    def __init__(self, k: Count = 5, ignore: int = -100) -> None:
        check("TopK", hints(TopK.__init__), {"k": k, "ignore": ignore})
        self.k, self.ignore = k, ignore
        super().__init__()

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Take the logits (…, classes) and the classes (…) of a batch."""
        counted = target != self.ignore
        best = logits.topk(min(self.k, logits.shape[-1]), dim=-1).indices
        self._add(((best == target.unsqueeze(-1)).any(-1) & counted).sum(), counted.sum())


@final
class Accuracy(Ratio):
    """The share of items whose class has the highest logit.

    Args:
        ignore: the target that says that an item does not count.
    """

    def __init__(self, ignore: int = -100) -> None:
        self.ignore = ignore
        super().__init__()

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Take the logits (…, classes) and the classes (…) of a batch."""
        counted = target != self.ignore
        self._add(((logits.argmax(-1) == target) & counted).sum(), counted.sum())


@final
class RMSE(Ratio):
    """√(Σ (prediction − target)²/number), over all elements of all batches; in the unit of the target."""

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Take the predictions and targets of a batch, of one shape.

        Raises:
            ValueError: when the shapes differ, which would be broadcast to a number of something else.
        """
        if prediction.shape != target.shape:
            raise ValueError(f"RMSE: prediction {list(prediction.shape)} and target {list(target.shape)} must have one shape")
        self._add((prediction.double() - target.double()).square().sum(), target.numel())

    def _of(self, mean: float) -> float:
        return math.sqrt(mean)


@final
class Perplexity(Ratio):
    """exp(Σ −log p(target)/number), over all targets that count; inf where that overflows.

    Args:
        ignore: the target that says that an item does not count.
    """

    def __init__(self, ignore: int = -100) -> None:
        self.ignore = ignore
        super().__init__()

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Take the logits (…, classes) and the classes (…) of a batch."""
        rows, classes = logits.flatten(0, -2).float(), target.flatten()
        total = functional.cross_entropy(rows, classes, ignore_index=self.ignore, reduction="none").double().sum()
        self._add(total, (classes != self.ignore).sum())

    def _of(self, mean: float) -> float:
        return math.exp(mean) if mean < _LOG_LARGEST else math.inf


_LOG_LARGEST = math.log(torch.finfo(torch.float64).max)
