"""Tiles: a tensor as a matrix (O, rest), cut into equal blocks that are small enough to be turned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Tiles", "tiles_of"]


@dataclass(frozen=True)
class Tiles:
    """How the matrix of a tensor is cut.

    Args:
        shape: of the tensor.
        rows: tiles below each other.
        columns: tiles beside each other.
        height: rows of a tile.
        width: columns of a tile.
        turned: which sides of a tile are small enough for a square matrix of their own.
    """

    shape: tuple[int, ...]
    rows: int
    columns: int
    height: int
    width: int
    turned: tuple[bool, bool]

    @property
    def sizes(self) -> list[int]:
        """The sizes of the turned sides, one after the other."""
        return [n for n, turned in zip((self.height, self.width), self.turned, strict=True) if turned]

    def cut(self, x: Tensor) -> Tensor:
        """Return the tiles (rows·columns, height, width) of a tensor of that shape."""
        parts = x.reshape(self.rows, self.height, self.columns, self.width)
        return parts.transpose(1, 2).reshape(-1, self.height, self.width)

    def join(self, x: Tensor) -> Tensor:
        """Return the tensor of these tiles."""
        parts = x.reshape(self.rows, self.columns, self.height, self.width)
        return parts.transpose(1, 2).reshape(self.shape)


def tiles_of(shape: Sequence[int], side: int) -> Tiles:
    """Return how a tensor is cut into the fewest equal tiles whose sides are at most `side`.

    A side with no divisor of between one and two times as many parts stays whole, and is not turned; nor is one of length 1,
    or any of a vector (a tensor with at most one side longer than 1).

    Args:
        shape: of the tensor; its first dimension is the rows.
        side: the longest side of a tile.
    """
    shape = tuple(shape)
    vector = sum(n != 1 for n in shape) <= 1
    whole = (1, math.prod(shape)) if vector else (shape[0], math.prod(shape[1:]))
    parts = [0 if vector or n < 2 else _parts(n, side) for n in whole]
    rows, columns = (max(1, k) for k in parts)
    return Tiles(shape, rows, columns, whole[0] // rows, whole[1] // columns, (parts[0] > 0, parts[1] > 0))


def _parts(n: int, side: int) -> int:
    least = -(-n // side)
    return next((k for k in range(least, 2 * least + 1) if n % k == 0), 0)
