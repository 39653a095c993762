"""Images read at mapped places: turned, stretched, slanted, shifted, cropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, final

import torch
from torch import Tensor
from torch.nn import functional

from danlu.data.augmentation import Augmentation, named
from danlu.data.uniforms import normal
from danlu.ranges import AnyNumber, Interval, NonNegative

__all__ = ["Affine", "Jitter", "ResizedCrop"]

Part = Annotated[float, Interval(0.0, 1.0, "right")]
AtLeastOne = Annotated[float, Interval(1.0, math.inf, "left")]


@named(source="danlu; an affine map with six normal deviations")
@final
@dataclass(frozen=True)
class Jitter(Augmentation):
    """x′(q) = x(A·q + b) for each image, with A = I + size·N(0, 1) and b = size·N(0, 1), interpolated bilinearly.

    Places q run from -1 to 1 over the image, so that size 0.1 shifts 8 pixels by 0.4 of one.

    Args:
        size: the standard deviation of all six; 0 gives the images as they are, to rounding.
        fill: x beyond the edge.
    """

    size: NonNegative = 0.1
    fill: AnyNumber = 0.0

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 6."""
        return 6

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Read each image through its own map."""
        return _warped(batch, torch.eye(2, 3, device=u.device) + self.size * normal(u).view(-1, 2, 3), self.fill)


@named(source="Simard et al., 2003; torchvision RandomAffine")
@final
@dataclass(frozen=True)
class Affine(Augmentation):
    """x′(q) = x(A·q + b), A = R(θ)·[1 k; 0 1]/s in pixels about the centre, interpolated bilinearly.

    θ, k, b and log s are uniform around 0, so that every map and its inverse are alike. Angles stay angles in images
    that are not square. All at 0 gives the images as they are, to rounding.

    Args:
        degrees: the largest |θ|.
        shift: the largest |b| in each direction, as a part of the image's size in it.
        zoom: the largest |log s|; 0.1 is a zoom of up to 10.5 % in or 9.5 % out.
        shear: the largest |k|; 0.1 slants by up to 5.7°.
        fill: x beyond the edge.
    """

    degrees: NonNegative = 15.0
    shift: NonNegative = 0.0
    zoom: NonNegative = 0.0
    shear: NonNegative = 0.0
    fill: AnyNumber = 0.0

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 5."""
        return 5

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Read each image through its own map."""
        height, width = batch.shape[2:]
        angle, k, log_s, right, down = (2 * u - 1).unbind(1)
        angle, k, s = angle * math.radians(self.degrees), k * self.shear, (log_s * self.zoom).exp()
        cos, sin = angle.cos() / s, angle.sin() / s
        # q runs from -1 to 1 over either side: what mixes the two has their ratio in it
        top = torch.stack((cos, (k * cos - sin) * (height / width), 2 * self.shift * right), 1)
        bottom = torch.stack((sin * (width / height), k * sin + cos, 2 * self.shift * down), 1)
        return _warped(batch, torch.stack((top, bottom), 1), self.fill)


@named(source="Szegedy et al., 2015 (Inception), section 6; torchvision RandomResizedCrop")
@final
@dataclass(frozen=True)
class ResizedCrop(Augmentation):
    """A window with a uniform part a of the area and log-uniform aspect r, anywhere inside, stretched to the old size.

    Departs from torchvision: r is by what the picture is stretched, not the window's own aspect (for square images that
    is one thing); a window too wide or too high is cut to the image instead of drawn again; its place is not rounded to
    pixels; and the interpolation is bilinear without low-pass, as it enlarges.

    Args:
        smallest: the least a; it goes up to 1.
        stretch: r is in [1/stretch, stretch]. With both at 1 it is off, to rounding.
    """

    smallest: Part = 0.08
    stretch: AtLeastOne = 4 / 3

    def numbers(self, shape: Sequence[int]) -> int:
        """Return 4."""
        return 4

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Read each image through its window."""
        area = self.smallest + (1 - self.smallest) * u[:, 0]
        root = self.stretch ** (u[:, 1] - 0.5)  # √r
        wide, high = (area.sqrt() * root).clamp(max=1), (area.sqrt() / root).clamp(max=1)
        zero = torch.zeros_like(area)
        top = torch.stack((wide, zero, (1 - wide) * (2 * u[:, 2] - 1)), 1)
        bottom = torch.stack((zero, high, (1 - high) * (2 * u[:, 3] - 1)), 1)
        return _warped(batch, torch.stack((top, bottom), 1), 0.0)


def _warped(images: Tensor, maps: Tensor, fill: float) -> Tensor:
    """Read x at maps·(q, 1), with the value `fill` beyond the edge."""
    if not images.numel():
        return images  # torch reads no places of nothing
    places = functional.affine_grid(maps.to(images), list(images.shape), align_corners=False)
    return functional.grid_sample(images - fill, places, align_corners=False) + fill
