"""A robust mean of all items of a window, exact although the window comes in micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from danlu.loss import LossSum, Ranked, item_weights
from danlu.loss.ranked import presence, ranked_sum
from danlu.train.batch import device_of, to_device
from danlu.train.ranks import Ranks
from danlu.train.replay import Surroundings

__all__ = ["OverWindow"]


@final
class OverWindow:
    """Gives each item the weight of its rank among ALL items of the window: micro-batches add up to the large batch.

    Ranks depend on all items, so `ranking` finds them beforehand: it runs the loss over the window without gradients,
    and inside its block the loss sums wᵢ·ℓᵢ with these constant weights. That is the large batch's value and gradient; a
    second evaluation of the window (a closure) keeps the ranks of the first. Costs one more forward pass; random states
    and buffers are put back, so that the update draws the same dropout masks. Pass it as `reduce` of a loss::

        robust = OverWindow(SoftMedian(0.1))
        loss = lambda model, batch: cross_entropy(model(batch[0]), batch[1], reduce=robust)
        for step in trainer.steps(data):
            with robust.ranking(model, loss, step.window):
                step.update()

    Outside the block, in an evaluation, it is the law of the single batch. Ranks are found without autocast, whatever
    the update's precision. One process only: other ranks' items are not seen.

    Args:
        law: `SoftMedian`, `TrimmedMean`, `WinsorizedMean`, or your own.
    """

    def __init__(self, law: Ranked) -> None:
        self.law = law
        self._seen: list[tuple[Tensor, Tensor]] | None = None  # while looking
        self._weights: list[Tensor] = []
        self._next = self._ahead = 0  # the batch that comes next, with gradients and without

    @contextmanager
    def ranking(self, model: nn.Module, loss: Callable[[nn.Module, Any], Any], window: Sequence[Any]) -> Iterator[None]:
        """Rank the items of a window, for the update inside the block.

        Args:
            model: what is trained.
            loss: the loss function, which calls this reduction once per batch.
            window: the micro-batches, in the order of the update.

        Yields:
            Nothing.

        Raises:
            ValueError: when the model is trained by several processes, or the loss does not call this once per batch.
        """
        if (ranks := Ranks(model).size) > 1:
            raise ValueError(
                f"OverWindow: {ranks} processes have a window each, and items are ranked within one; use one process"
            )
        seen = self._look(model, loss, window)
        weights = item_weights(self.law, torch.cat([x for x, _ in seen]), torch.cat([x for _, x in seen]))
        self._weights, self._next, self._ahead = list(weights.split([len(x) for x, _ in seen])), 0, 0
        try:
            yield
        finally:
            self._weights = []

    def __call__(self, losses: Tensor, weights: Tensor | None) -> LossSum:
        """Return Σ w·ℓ of this batch's items with their weights in the window, and their number.

        Args:
            losses: of the items.
            weights: which items are there, or None for all.

        Raises:
            ValueError: when the items are weighted.
            RuntimeError: outside `ranking`, or when this is not the window that was ranked.
        """
        present = presence("OverWindow", losses, weights)
        if self._seen is not None:
            self._seen.append((losses.detach(), present))
            return LossSum(losses.sum(), present.sum())
        training = torch.is_grad_enabled()
        if not self._weights:
            if not training:
                return ranked_sum("OverWindow", self.law, losses, weights)
            fix = "update inside `with robust.ranking(model, loss, window):`"
            raise RuntimeError(f"OverWindow: the items of this window have no ranks; {fix}")
        place = self._next if training else self._ahead  # a loss with parts looks ahead at the batches that follow
        w = self._weights[place]
        if len(w) != len(losses):
            what = f"batch {place} has {len(losses)} items, and had {len(w)} when they were ranked"
            raise RuntimeError(f"OverWindow: {what}; update with the window that was ranked")
        self._ahead = (place + 1) % len(self._weights)
        self._next = self._ahead if training else self._next
        return LossSum((w * losses).sum(), present.sum())

    def _look(
        self, model: nn.Module, loss: Callable[[nn.Module, Any], Any], window: Sequence[Any]
    ) -> list[tuple[Tensor, Tensor]]:
        """The losses of all items, and which are there, batch by batch."""
        before, device = Surroundings(model), device_of(model)
        self._seen = seen = []
        try:
            with torch.no_grad():
                for batch in window:
                    loss(model, to_device(batch, device))
        finally:
            self._seen = None
            before.restore()
        if len(seen) != len(window) or not seen:
            what = f"{len(seen)} times in {len(window)} batches"
            raise ValueError(f"OverWindow: the loss called this reduction {what}; pass it as reduce= of one loss")
        return seen
