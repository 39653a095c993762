"""A multi-layer perceptron for images of 8×8 pixels."""

from __future__ import annotations

from typing import final

from torch import nn

__all__ = ["MLP"]


@final
class MLP(nn.Sequential):
    """linear-ReLU-dropout twice, then one linear layer; 85,002 parameters at width 256.

    Args:
        width: units of each hidden layer.
        classes: K; the output is (N, K) logits for images of 64 pixels in any shape.
    """

    def __init__(self, width: int = 256, classes: int = 10) -> None:
        super().__init__(
            nn.Flatten(),
            *_hidden(64, width),
            *_hidden(width, width),
            nn.Linear(width, classes),
        )


def _hidden(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(0.2)
