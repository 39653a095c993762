"""Shifts by whole pixels: padding and a crop of the old size, without the padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from danlu.data.augmentation import Augmentation, named
from danlu.ranges import AnyNumber, Steps

__all__ = ["MirrorShift", "Shift"]


@named(source="He et al., 2016 (ResNet), section 4.2: pad by 4, crop; torchvision RandomCrop(padding=p)")
@final
@dataclass(frozen=True)
class Shift(Augmentation):
    """x′(i, j) = x(i + a, j + b), a and b uniform in −p … p; beyond the edge it is `fill`.

    Args:
        pixels: p; 0 is off.
        fill: the value beyond the edge.
    """

    pixels: Steps = 4
    fill: AnyNumber = 0.0

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 2."""
        return 2

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Read each image at its own rows and columns."""
        rows, columns = _places(batch, u, self.pixels)
        height, width = batch.shape[2:]
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
        found = _read(batch, rows.clamp(0, height - 1), columns.clamp(0, width - 1))
        return torch.where(inside[:, None], found, torch.full_like(found, self.fill))


@named(source="Jordan, 2024 (airbench), arXiv:2404.00498: reflection padding; torch.nn.functional.pad(mode='reflect')")
@final
@dataclass(frozen=True)
class MirrorShift(Augmentation):
    """x′(i, j) = x(i + a, j + b), a and b uniform in −p … p; beyond the edge the image goes on as its mirror image.

    The pixel at the edge stands there once, as in torch's "reflect".

    Args:
        pixels: p, less than height and width; 0 is off.
    """

    pixels: Steps = 4

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 2."""
        return 2

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Read each image at its own rows and columns.

        Returns:
            Images of the same shape.

        Raises:
            ValueError: when an image is too small for its mirror image to cover p pixels.
        """
        height, width = batch.shape[2:]
        if self.pixels >= min(height, width):
            raise ValueError(f"MirrorShift: pixels must be less than height and width, got {self.pixels} for {height}×{width}")
        rows, columns = _places(batch, u, self.pixels)
        return _read(batch, _reflected(rows, height), _reflected(columns, width))


def _places(images: Tensor, u: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
    """The rows (N, H) and columns (N, W) to read."""
    offset = (u * (2 * pixels + 1)).floor().long() - pixels
    height, width = (torch.arange(size, device=images.device) for size in images.shape[2:])
    return offset[:, :1] + height, offset[:, 1:] + width


def _reflected(at: Tensor, size: int) -> Tensor:
    return size - 1 - (size - 1 - at.abs()).abs()


def _read(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    which = torch.arange(len(images), device=images.device)[:, None, None]
    return images[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
