"""Mixtures of pairs of samples, with both targets and their weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from danlu.data.augmentation import named
from danlu.data.image.erase import inside
from danlu.data.uniforms import seed_of
from danlu.ranges import Fraction, Positive, check, hints

__all__ = ["Cutmix", "Mixed", "Mixing", "Mixup", "blend", "paste"]


class Mixed(NamedTuple):
    """A batch of mixtures: the loss of row i is λ·ℓ(inputs[i], targets[i]) + (1 − λ)·ℓ(inputs[i], partners[i]).

    As a named tuple it goes to a device, and is cut into micro-batches, like any batch.

    Args:
        inputs: the mixtures, shape (N, …).
        targets: of what they have the weight λ of.
        partners: the targets of the other part.
        weight: λ, in [0, 1], one number for the batch.
    """

    inputs: Tensor
    targets: Tensor
    partners: Tensor
    weight: float

    def soft(self, classes: int) -> Tensor:
        """Return λ·onehot(targets) + (1 − λ)·onehot(partners), for losses of distributions.

        Args:
            classes: K.

        Returns:
            Shape (N, K), in torch's default dtype.
        """
        a, b = (functional.one_hot(y, classes).to(torch.get_default_dtype()) for y in (self.targets, self.partners))
        return blend(a, b, self.weight)


Mixing = Callable[[Tensor, Tensor, torch.Generator], Mixed]
"""A way to mix: ``mixing(inputs, targets, draw)``."""


@named(source="Zhang et al., 2017, arXiv:1710.09412", kind="pairs")
@final
@dataclass(frozen=True)
class Mixup:
    """x′ᵢ = λ·xᵢ + (1 − λ)·x_π(i), the targets likewise; λ ~ Beta(α, α) and a permutation π for each batch.

    The loss on mixed targets has a positive minimum: training loss and accuracy no longer tell how well the data are
    fitted. Use a smaller weight decay, and more epochs.

    Args:
        alpha: α; near 0 one of the two has nearly all the weight, 1 is uniform.
        probability: that a batch is mixed.
    """

    alpha: Positive = 0.2
    probability: Fraction = 1.0

    def __post_init__(self) -> None:
        check("Mixup", hints(Mixup), vars(self))

    def __call__(self, inputs: Tensor, targets: Tensor, draw: torch.Generator) -> Mixed:
        """Mix a batch with itself in another order.

        Args:
            inputs: shape (N, …), of floating point.
            targets: shape (N, …).
            draw: the mixture is a function of the batch and this generator, on the CPU.

        Returns:
            The mixtures.
        """
        weight, partner, _ = _drawn(self.alpha, self.probability, len(inputs), draw)
        other = partner.to(inputs.device)
        return Mixed(blend(inputs, inputs[other], weight), targets, targets[other.to(targets.device)], weight)


@named(source="Yun et al., 2019, arXiv:1905.04899, and the authors' code", kind="pairs")
@final
@dataclass(frozen=True)
class Cutmix:
    """In a box of √(1 − λ)·H by √(1 − λ)·W pixels stands x_π(i); λ ~ Beta(α, α), then made true to the box's real area.

    The box has a uniform centre and is cut at the edges, and its sides are whole pixels: the weight of the targets is
    1 minus the part of the area that was in fact replaced.

    Args:
        alpha: α; 1 makes the area uniform.
        probability: that a batch is mixed.
    """

    alpha: Positive = 1.0
    probability: Fraction = 1.0

    def __post_init__(self) -> None:
        check("Cutmix", hints(Cutmix), vars(self))

    def __call__(self, inputs: Tensor, targets: Tensor, draw: torch.Generator) -> Mixed:
        """Mix a batch with itself in another order.

        Args:
            inputs: images (N, C, H, W).
            targets: shape (N, …).
            draw: the mixture is a function of the batch and this generator, on the CPU.

        Returns:
            The mixtures.

        Raises:
            ValueError: when the inputs are no images.
        """
        if inputs.ndim != 4:
            raise ValueError(f"Cutmix: takes a batch of images (N, C, H, W), got shape {list(inputs.shape)}")
        weight, partner, random = _drawn(self.alpha, self.probability, len(inputs), draw)
        box = _box(inputs.shape[2], inputs.shape[3], weight, random)
        other = partner.to(inputs.device)
        images, real = paste(inputs, inputs[other], box)
        return Mixed(images, targets, targets[other.to(targets.device)], real)


def blend(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """λ·first + (1 − λ)·second."""
    return weight * first + (1.0 - weight) * second


def paste(first: Tensor, second: Tensor, box: tuple[int, int, int, int]) -> tuple[Tensor, float]:
    """`second` inside a box, `first` around it.

    Args:
        first: images (N, C, H, W).
        second: likewise.
        box: top, bottom, left and right, rows top … bottom − 1 and columns left … right − 1.

    Returns:
        The images, and the part of the area that is `first`'s.
    """
    top, bottom, left, right = box
    edges = (torch.full((1, 1), edge, device=first.device) for edge in box)
    area = (bottom - top) * (right - left) / (first.shape[2] * first.shape[3])
    return torch.where(inside(first, *edges), second, first), 1.0 - area


def _drawn(alpha: float, probability: float, n: int, draw: torch.Generator) -> tuple[float, Tensor, np.random.Generator]:
    """λ, or 1 where nothing is to be mixed; the partners; and where further numbers come from."""
    random = np.random.default_rng(seed_of(draw))  # torch's Beta takes no generator
    weight = float(random.beta(alpha, alpha)) if random.random() < probability else 1.0
    return weight, torch.randperm(n, generator=draw), random


def _box(height: int, width: int, weight: float, random: np.random.Generator) -> tuple[int, int, int, int]:
    high, wide = (int(size * math.sqrt(1.0 - weight)) for size in (height, width))
    y, x = int(random.integers(height)), int(random.integers(width))
    top, bottom = (min(max(at, 0), height) for at in (y - high // 2, y + high // 2))
    left, right = (min(max(at, 0), width) for at in (x - wide // 2, x + wide // 2))
    return top, bottom, left, right
