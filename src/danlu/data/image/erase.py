"""Boxes of an image that are painted over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, final

import torch
from torch import Tensor

from danlu.data.augmentation import Augmentation, named
from danlu.data.uniforms import normal
from danlu.ranges import AnyNumber, Count, Fraction, Interval, NonNegative

__all__ = ["Cutout", "Erase", "inside"]

_ATTEMPTS = 10


@named(source="Zhong et al., 2017 (random erasing), arXiv:1708.04896; torchvision and timm RandomErasing")
@final
@dataclass(frozen=True)
class Erase(Augmentation):
    """With probability p a box of area U(smallest, largest)·H·W and log-uniform aspect is painted over.

    The first of ten boxes that lies inside the image is taken; if there is none, nothing is erased. Departs from the
    paper, whose aspect is uniform and so prefers high boxes, as torchvision and timm do.

    Args:
        probability: p; 0 is off.
        smallest: part of the area.
        largest: part of the area.
        stretch: the aspect height/width is in [1/stretch, stretch].
        fill: the value in the box; 0 is the mean of images that are centred.
        noise: standard deviation of what is added to it per pixel and channel, which costs C·H·W numbers an image.
    """

    probability: Fraction = 0.5
    smallest: Fraction = 0.02
    largest: Fraction = 1 / 3
    stretch: Annotated[float, Interval(1.0, math.inf, "left")] = 1 / 0.3
    fill: AnyNumber = 0.0
    noise: NonNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.smallest > self.largest:
            raise ValueError(f"Erase: smallest must be at most largest, got {self.smallest} and {self.largest}")

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 41, and as many as there are values if there is noise."""
        return 1 + 4 * _ATTEMPTS + (math.prod(shape) if self.noise else 0)

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Paint over the box of each chosen image."""
        height, width = batch.shape[2:]
        area, aspect, down, right = u[:, 1 : 1 + 4 * _ATTEMPTS].reshape(-1, _ATTEMPTS, 4).unbind(2)
        side = ((self.smallest + (self.largest - self.smallest) * area) * height * width).sqrt()
        root = self.stretch ** (aspect - 0.5)
        high, wide = (side * root).round(), (side / root).round()
        fits = (high >= 1) & (high <= height) & (wide >= 1) & (wide <= width)
        first = fits.int().argmax(1, keepdim=True)
        high, wide, down, right = (x.gather(1, first) for x in (high, wide, down, right))
        top, left = (down * (height - high + 1)).floor(), (right * (width - wide + 1)).floor()
        chosen = (u[:, :1] < self.probability) & fits.any(1, keepdim=True)
        box = inside(batch, top, top + high, left, left + wide) & chosen[:, :, None, None]
        paint = torch.full_like(batch, self.fill)
        if self.noise:
            paint = paint + self.noise * normal(u[:, 1 + 4 * _ATTEMPTS :]).view(batch.shape).to(batch)
        return torch.where(box, paint, batch)


@named(source="DeVries and Taylor, 2017, arXiv:1708.04552")
@final
@dataclass(frozen=True)
class Cutout(Augmentation):
    """A square of s·s pixels around a uniform pixel is painted over, less what lies beyond the edge.

    Args:
        size: s, in pixels.
        fill: the value in the square; 0 is the mean of images that are centred.
    """

    size: Count = 8
    fill: AnyNumber = 0.0

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 2."""
        return 2

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Paint over the square of each image."""
        top = (u[:, :1] * batch.shape[2]).floor() - self.size // 2
        left = (u[:, 1:] * batch.shape[3]).floor() - self.size // 2
        box = inside(batch, top, top + self.size, left, left + self.size)
        return torch.where(box, torch.full_like(batch, self.fill), batch)


def inside(images: Tensor, top: Tensor, bottom: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Tell which pixels lie in a box: top ≤ i < bottom and left ≤ j < right.

    Args:
        images: shape (N, C, H, W).
        top: shape (N, 1), or (1, 1) for one box; so are the others.
        bottom: the first row below the box.
        left: its first column.
        right: the first column beyond it.

    Returns:
        Shape (N, 1, H, W), or (1, 1, H, W).
    """
    i, j = (torch.arange(size, device=images.device) for size in images.shape[2:])
    rows, columns = (i >= top) & (i < bottom), (j >= left) & (j < right)
    return (rows[:, :, None] & columns[:, None, :])[:, None]
