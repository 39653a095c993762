"""Batches of windows of a text, each with the symbols one place further on as targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from danlu.data import TensorLoader
from danlu.keyed import key

__all__ = ["Windows", "cut"]


@final
class Windows:
    """Windows of a long sequence, cut anew in each epoch: their common offset and their order are keyed by it.

    Every epoch sees (nearly) every symbol once, but at another place of its window.

    Args:
        text: numbers of the symbols, shape (L,), with L > 2·length.
        length: of a window.
        batch: windows of a batch.
        seed: what offset and order depend on beside the epoch.
    """

    def __init__(self, text: Tensor, length: int, *, batch: int, seed: int) -> None:
        self.text, self.length, self.batch, self.seed = text, length, batch, seed
        self._rows = (len(text) - length) // length  # the same for every offset in [0, length)
        TensorLoader(torch.empty(self._rows, 0), batch=batch)  # says now what is wrong with the sizes

    def __len__(self) -> int:
        return -(-self._rows // self.batch)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Yield pairs (inputs, targets) of shape (batch, length) from batch `start` on; the last has the remaining windows."""
        offset = key(self.seed, "offset", epoch) % self.length
        text = self.text[offset : offset + self._rows * self.length + 1]
        pairs = text[:-1].view(-1, self.length), text[1:].view(-1, self.length)
        yield from TensorLoader(*pairs, batch=self.batch, seed=self.seed).epoch(epoch, start)


def cut(text: Tensor, length: int, *, ignore_index: int = -100) -> tuple[Tensor, Tensor]:
    """Cut a text into consecutive windows so that every symbol but the first is a target exactly once.

    Args:
        text: numbers of the symbols, shape (L,), L ≥ 2.
        length: T, of a window.
        ignore_index: the target in the places by which the last window is too long.

    Returns:
        inputs and targets, shape (⌈(L − 1)/T⌉, T).
    """
    missing = -(len(text) - 1) % length
    inputs = torch.cat((text[:-1], text.new_zeros(missing)))
    targets = torch.cat((text[1:], text.new_full((missing,), ignore_index)))
    return inputs.view(-1, length), targets.view(-1, length)
