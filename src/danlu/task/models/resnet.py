"""Residual networks for images of 8×8 pixels, with batch norm, with nothing in its place, and norm-free."""

from __future__ import annotations

from typing import final

from torch import nn

from danlu.layers import NormFreeResidual, StandardizedConv2d, activation_gain, without_norms
from danlu.task.models.residual import Residual

__all__ = ["NormFreeResNet", "ResNet", "bare_resnet"]


@final
class ResNet(nn.Sequential):
    """A convolution, pooling, blocks h + conv(ReLU(norm(conv(ReLU(norm(h)))))), norm, ReLU, mean, linear; 56,810 parameters.

    Pre-activation blocks (He et al. 2016, arXiv:1603.05027) with batch norm, all of one width on 4×4 places.

    Args:
        width: channels.
        depth: number of blocks.
        classes: K; the output is (N, K) logits for images (N, 1, 8, 8).
    """

    def __init__(self, width: int = 16, depth: int = 12, classes: int = 10) -> None:
        super().__init__(nn.Conv2d(1, width, 3, padding=1), nn.MaxPool2d(2))
        for _ in range(depth):
            self.append(Residual(nn.Sequential(*_half(width), *_half(width))))
        self.extend((nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)))


def _half(width: int) -> tuple[nn.Module, ...]:
    return nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)


def bare_resnet(width: int = 16, depth: int = 12, classes: int = 10) -> nn.Module:
    """Return a `ResNet` without its norms, weights as torch starts them."""
    return without_norms(ResNet(width, depth, classes))


@final
class NormFreeResNet(nn.Sequential):
    """`ResNet` without norms: standardised convolutions, and blocks h + g·f(h) with g from 0, which start as the identity.

    While the blocks are closed the variance is 1 at every depth, hence β = 1. α is 1, not the papers' 0.2: it multiplies the
    gradient of g as well, so that with 0.2 the blocks open too slowly for a run of a few hundred updates.

    Args:
        width: channels.
        depth: number of blocks.
        classes: K; the output is (N, K) logits for images (N, 1, 8, 8).
    """

    def __init__(self, width: int = 16, depth: int = 12, classes: int = 10) -> None:
        super().__init__(StandardizedConv2d(1, width, 3, padding=1), nn.MaxPool2d(2))
        gamma = activation_gain(nn.ReLU())

        def half() -> tuple[nn.Module, ...]:
            return nn.ReLU(), StandardizedConv2d(width, width, 3, padding=1, gamma=gamma)

        for _ in range(depth):
            self.append(NormFreeResidual(nn.Sequential(*half(), *half()), alpha=1.0))
        self.extend((nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)))
