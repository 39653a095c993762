"""Augmentation of the batches of a run, keyed by its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch

from danlu.train.callback import Callback
from danlu.train.clock import Clock

__all__ = ["Augment"]


@final
class Augment(Callback):
    """x′ = augmentation(x, draw) for the first part of each batch, draw keyed by (seed, step); the rest stays.

    So a resumed run sees the same pixels, whatever the data are read by. Evaluations see the data as they are. Where a
    sample's augmentation should be the same in any batch, use `danlu.data.Augmented` instead.

    Args:
        augmentation: ``augmentation(x, draw)``, such as those of `danlu.data.image` and `danlu.data.text`. If it returns
            a tuple, as one that makes targets does, that stands in the place of x.
        name: what plans and saved states call it; two in one run need two names.
    """

    phase = -20  # before samples are mixed

    def __init__(self, augmentation: Callable[[Any, torch.Generator], Any], name: str = "Augment") -> None:
        self.augmentation, self._name = augmentation, name

    @property
    def name(self) -> str:
        """The name given."""
        return self._name

    def batch(self, batch: Any, draw: torch.Generator, clock: Clock) -> Any:
        """Return the batch with its first part augmented."""
        if isinstance(batch, torch.Tensor):
            return self.augmentation(batch, draw)
        first, *rest = batch
        found = self.augmentation(first, draw)
        return (*found, *rest) if isinstance(found, tuple) else (found, *rest)
