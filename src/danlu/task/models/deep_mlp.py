"""Residual perceptrons of 20 layers for images of 8×8 pixels: with batch norm, with nothing in its place, and norm-free."""

from __future__ import annotations

from typing import final

from torch import nn

from danlu.layers import NormFreeResidual, StandardizedLinear, activation_gain, without_norms
from danlu.task.models.residual import Residual

__all__ = ["DeepMLP", "NormFreeDeepMLP", "bare_deep_mlp"]


@final
class DeepMLP(nn.Sequential):
    """A linear layer, blocks h + linear(GELU(norm(h))), norm, GELU, a linear head: 20 hidden layers at 19 blocks.

    Args:
        width: units of each hidden layer.
        depth: number of blocks.
        classes: K; the output is (N, K) logits for images of 64 pixels in any shape.
    """

    def __init__(self, width: int = 64, depth: int = 19, classes: int = 10) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, width))
        for _ in range(depth):
            self.append(Residual(nn.Sequential(nn.BatchNorm1d(width), nn.GELU(), nn.Linear(width, width))))
        self.extend((nn.BatchNorm1d(width), nn.GELU(), nn.Linear(width, classes)))


def bare_deep_mlp(width: int = 64, depth: int = 19, classes: int = 10) -> nn.Module:
    """Return a `DeepMLP` without its norms, weights as torch starts them."""
    return without_norms(DeepMLP(width, depth, classes))


@final
class NormFreeDeepMLP(nn.Sequential):
    """`DeepMLP` without norms: standardised weights but in the head, and blocks h + g·f(h) with g from 0.

    Args:
        width: units of each hidden layer.
        depth: number of blocks.
        classes: K; the output is (N, K) logits for images of 64 pixels in any shape.
    """

    def __init__(self, width: int = 64, depth: int = 19, classes: int = 10) -> None:
        super().__init__(nn.Flatten(), StandardizedLinear(64, width))
        gamma = activation_gain(nn.GELU())
        for _ in range(depth):
            branch = nn.Sequential(nn.GELU(), StandardizedLinear(width, width, gamma=gamma))
            self.append(NormFreeResidual(branch, alpha=1.0))
        self.extend((nn.GELU(), nn.Linear(width, classes)))
