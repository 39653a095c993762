"""A convolutional network for images of 8×8 pixels."""

from __future__ import annotations

from typing import final

from torch import nn

__all__ = ["CNN"]


@final
class CNN(nn.Sequential):
    """conv-norm-GELU three times with two poolings between, then one linear layer; 58,634 parameters at width 32.

    Group norm (Wu & He 2018, arXiv:1803.08494), not batch norm: no image's output depends on its batch, so gradient
    accumulation is exact and evaluation is the same function as training but for the dropout.

    Args:
        width: channels of the first layer, a multiple of 4; the others have twice as many.
        classes: K; the output is (N, K) logits for images (N, 1, 8, 8).
    """

    def __init__(self, width: int = 32, classes: int = 10) -> None:
        super().__init__(
            *_conv(1, width),
            *_conv(width, 2 * width),
            nn.MaxPool2d(2),
            *_conv(2 * width, 2 * width),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(2 * width * 2 * 2, classes),
        )


def _conv(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.GELU()
