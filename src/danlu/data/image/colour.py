"""Light and colour, for images with values in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, final

import torch
from torch import Tensor

from danlu.data.augmentation import Augmentation, named
from danlu.ranges import Interval, NonNegative

__all__ = ["Brightness", "Contrast", "Hue", "Saturation"]

HalfTurn = Annotated[float, Interval(0.0, 0.5)]


@named(source="torchvision ColorJitter(brightness=s)")
@final
@dataclass(frozen=True)
class Brightness(Augmentation):
    """x′ = f·x cut to [0, 1], f uniform in [max(0, 1 − s), 1 + s].

    Args:
        strength: s; 0 is off.
    """

    strength: NonNegative = 0.4

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 1."""
        return 1

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Blend with black."""
        return _away_from(torch.zeros_like(batch), batch, u, self.strength)


@named(source="torchvision ColorJitter(contrast=s)")
@final
@dataclass(frozen=True)
class Contrast(Augmentation):
    """x′ = m + f·(x − m) cut to [0, 1], m the mean grey of the image, f uniform in [max(0, 1 − s), 1 + s].

    Args:
        strength: s; 0 is off.
    """

    strength: NonNegative = 0.4

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 1."""
        return 1

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Blend with the mean grey."""
        return _away_from(_grey("Contrast", batch).mean((1, 2, 3), keepdim=True), batch, u, self.strength)


@named(source="torchvision ColorJitter(saturation=s)")
@final
@dataclass(frozen=True)
class Saturation(Augmentation):
    """x′ = y + f·(x − y) cut to [0, 1], y the grey of the same pixel, f uniform in [max(0, 1 − s), 1 + s].

    A grey image stays as it is.

    Args:
        strength: s; 0 is off.
    """

    strength: NonNegative = 0.4

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 1."""
        return 1

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Blend with the pixel's grey."""
        return _away_from(_grey("Saturation", batch), batch, u, self.strength)


@named(source="the rotation of chrominance of analogue television (YIQ, FCC 1953); the place of torchvision ColorJitter(hue=s)")
@final
@dataclass(frozen=True)
class Hue(Augmentation):
    """x′ = Y⁻¹·R(2πs·r)·Y·x cut to [0, 1], r uniform in (−1, 1): chrominance I, Q of YIQ is turned, luma Y stays.

    Departs from torchvision, which turns the hue of HSV: that keeps the largest channel instead of the luma, has a
    kink at every primary colour, and costs a case distinction per pixel. A grey image stays as it is.

    Args:
        turn: s, the largest part of a full turn; 0 is off.
    """

    turn: HalfTurn = 0.1

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 1."""
        return 1

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Turn the chrominance."""
        if _grey("Hue", batch) is batch or not self.turn:
            return batch
        yiq = torch.tensor(_YIQ, dtype=torch.float64, device=batch.device)
        angle = 2 * math.pi * self.turn * (2 * u[:, 0].double() - 1)
        turned = torch.zeros(len(batch), 3, 3, dtype=torch.float64, device=batch.device)
        turned[:, 0, 0] = 1
        turned[:, 1, 1] = turned[:, 2, 2] = angle.cos()
        turned[:, 1, 2], turned[:, 2, 1] = -angle.sin(), angle.sin()
        maps = (torch.linalg.inv(yiq) @ turned @ yiq).to(batch)
        return torch.einsum("nab,nbhw->nahw", maps, batch).clamp(0, 1)


_LUMA = (0.2989, 0.587, 0.114)  # torchvision's digits
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def _grey(owner: str, images: Tensor) -> Tensor:
    """The images' luma, one channel."""
    channels = images.shape[1]
    if channels == 1:
        return images
    if channels != 3:
        raise ValueError(f"{owner}: takes images with 1 or 3 channels, got {channels}")
    red, green, blue = images.unbind(1)
    return (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue)[:, None]


def _away_from(other: Tensor, images: Tensor, u: Tensor, strength: float) -> Tensor:
    """Blend two images by f; 1 gives the second, more goes beyond it."""
    least = max(0.0, 1.0 - strength)
    f = (least + (1.0 + strength - least) * u[:, 0, None, None, None]).to(images)
    return (f * images + (1.0 - f) * other).clamp(0, 1) if strength else images
