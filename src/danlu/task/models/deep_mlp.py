"""A multi-layer perceptron too deep to train on its own."""

from __future__ import annotations

from typing import final

from torch import nn

from danlu.layers import StandardizedLinear, activation_gain, standardized, without_norms

__all__ = ["DeepMLP", "bare_deep_mlp", "norm_free_deep_mlp"]


@final
class DeepMLP(nn.Sequential):
    """linear-batch norm-ReLU `depth` times, then one linear layer; 86,730 parameters. No residual connections.

    Args:
        width: units of each hidden layer.
        depth: hidden layers.
        classes: K; the output is (N, K) logits for images of 64 pixels in any shape.
    """

    def __init__(self, width: int = 64, depth: int = 20, classes: int = 10) -> None:
        super().__init__(nn.Flatten())
        for layer in range(depth):
            self.append(nn.Sequential(nn.Linear(64 if layer == 0 else width, width), nn.BatchNorm1d(width), nn.ReLU()))
        self.append(nn.Linear(width, classes))


def bare_deep_mlp(width: int = 64, depth: int = 20, classes: int = 10) -> nn.Module:
    """Return a `DeepMLP` without its norms, weights as torch starts them: signals shrink by 0.4 a layer."""
    return without_norms(DeepMLP(width, depth, classes))


def norm_free_deep_mlp(width: int = 64, depth: int = 20, classes: int = 10) -> nn.Module:
    """Return a `DeepMLP` without its norms, all layers but the head standardised; pixels have variance 1 already."""
    twin = standardized(bare_deep_mlp(width, depth, classes), activation_gain(nn.ReLU()), keep=(str(depth + 1),))
    first = twin.get_submodule("1.0")
    assert isinstance(first, StandardizedLinear)
    first.gamma = 1.0
    return twin
