"""Scaled weight standardisation: layers whose weights, not whose outputs, are normalised."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.ranges import Positive, check, hints

__all__ = ["Activation", "StandardizedConv2d", "StandardizedLinear", "activation_gain", "standardize"]

Activation: TypeAlias = Callable[[Tensor], Tensor]
"""A function of each element, such as ``torch.relu`` or ``nn.GELU()``."""


def standardize(weight: Tensor, gain: Tensor, gamma: float = 1.0, eps: float = 1e-6) -> Tensor:
    """Ŵₒ = gain·γ·(Wₒ − mean Wₒ)/√(n·(var Wₒ + ε)) for each output row o of n = fan-in elements.

    A row has mean 0 and norm gain·γ: outputs of independent inputs of variance v and any common mean have variance
    (gain·γ)²·v, layer after layer, with no statistics of data (Brock et al. 2021, arXiv:2101.08692). The size of W does not
    matter, so neither does its first scale, and weight decay on it changes the effective learning rate alone.

    Departs from the authors' code, as timm does, in the place of ε: theirs is √max(n·var, 1e-4), which agrees to 1e-6/var.
    One row of one element is 0.

    Args:
        weight: W, shape (O, …).
        gain: of each row, shape (O, 1, …).
        gamma: γ of the function before the layer, see `activation_gain`.
        eps: ε, beside the variance.

    Returns:
        Ŵ, the shape of W.
    """
    rows = tuple(range(1, weight.ndim))
    var, mean = torch.var_mean(weight, dim=rows, correction=0, keepdim=True)
    n = math.prod(weight.shape[1:])
    return gain * gamma * (weight - mean) * torch.rsqrt(n * (var + eps))


def activation_gain(activation: Activation) -> float:
    """γ = 1/std(f(z)) for z ~ N(0, 1): γ·f(z) has variance 1.

    By the trapezoid rule in float64, to eight digits; √(2/(1 − 1/π)) = 1.7129 for ReLU. The table in the authors' code is drawn
    from samples and differs in the third digit (1.7139 for ReLU, 1.7015 for GELU).

    Args:
        activation: f, a function of each element without randomness.

    Returns:
        γ.

    Raises:
        ValueError: when f is constant, so that there is no γ.
    """
    z = torch.linspace(-12.0, 12.0, 240_001, dtype=torch.float64)
    density = torch.exp(-0.5 * z.square())
    density /= density.sum()
    with torch.no_grad():
        y = activation(z)
    var = float((density * (y - (density * y).sum()).square()).sum())
    if not var > 0:
        raise ValueError(f"activation_gain: {activation!r} is constant on N(0, 1), so no factor gives it variance 1")
    return var**-0.5


@final
class StandardizedConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` with `standardize`d weights and a learnable gain per output channel, of shape (O, 1, 1, 1).

    Zero padding sees fewer inputs at the border, so that the variance falls a little there. Beside the plain layer it costs one
    copy of the weights per call, and one gain per channel.

    Args:
        *args: those of `torch.nn.Conv2d`.
        gamma: γ of the function before it; 1 when its inputs have been scaled already.
        eps: ε.
        **options: those of `torch.nn.Conv2d`.

    Raises:
        ValueError: when γ or ε is out of its range.
    """

    def __init__(self, *args: Any, gamma: Positive = 1.0, eps: Positive = 1e-6, **options: Any) -> None:
        super().__init__(*args, **options)
        check("StandardizedConv2d", hints(StandardizedConv2d.__init__), {"gamma": gamma, "eps": eps})
        self.gamma, self.eps = gamma, eps
        self.gain = nn.Parameter(torch.ones_like(self.weight[:, :1, :1, :1]))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return the convolution of the input with Ŵ."""
        return self._conv_forward(input, standardize(self.weight, self.gain, self.gamma, self.eps), self.bias)


@final
class StandardizedLinear(nn.Linear):
    """`torch.nn.Linear` with `standardize`d weights and a learnable gain per output, of shape (O, 1).

    Args:
        *args: those of `torch.nn.Linear`.
        gamma: γ of the function before it; 1 when its inputs have been scaled already.
        eps: ε.
        **options: those of `torch.nn.Linear`.

    Raises:
        ValueError: when γ or ε is out of its range.
    """

    def __init__(self, *args: Any, gamma: Positive = 1.0, eps: Positive = 1e-6, **options: Any) -> None:
        super().__init__(*args, **options)
        check("StandardizedLinear", hints(StandardizedLinear.__init__), {"gamma": gamma, "eps": eps})
        self.gamma, self.eps = gamma, eps
        self.gain = nn.Parameter(torch.ones_like(self.weight[:, :1]))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return input·Ŵᵀ + bias."""
        return functional.linear(input, standardize(self.weight, self.gain, self.gamma, self.eps), self.bias)
