"""The loss of a small network that reads digits, on a plane through its trained weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated

import torch
from torch import Tensor, nn

from danlu.keyed import key
from danlu.ranges import Interval
from danlu.surface.plane import Plane, Weights, filter_normalised
from danlu.surface.surface import Domain, Surface, register

__all__ = ["DigitsMLP"]

_IMAGES, _WIDTH, _UPDATES = 200, 24, 150


@register(source="Li et al. 2018, arXiv:1712.09913, section 4; the digits are scikit-learn's")
@dataclass(frozen=True)
class DigitsMLP(Surface):
    """f = cross-entropy of a trained 64-24-10 network on 200 digits, on a plane of two filter-normalised directions.

    (0, 0) is the network after 150 full-batch updates of Adam. A rule sees only (x, y): how it moves in the plane, and not
    among all 1,810 weights.

    Args:
        seed: of the directions.
    """

    seed: Annotated[int, Interval(0, 1000)] = 0

    cost = 300
    domain = Domain(-1.6, 1.6, -1.2, 1.2)
    start = (-1.2, 0.9)
    minima = ()  # the plane's own lowest point is near 0, not at it
    lowest = 0.0  # a bound, which is not reached

    @cached_property
    def _plane(self) -> Plane:
        return filter_normalised(_trained()[1], self.seed)

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        return self._plane.values(_trained()[0], p)


@cache
def _trained() -> tuple[Callable[[Weights], Tensor], dict[str, Tensor]]:
    """The network's loss as a function of its weights, and the weights after training."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError(
            "surface 'digits_mlp' needs scikit-learn, which holds the images; pip install 'danlu[data]'"
        ) from None
    pixels, labels = load_digits(return_X_y=True)
    images = (torch.from_numpy(pixels[:_IMAGES]) - 4.9) / 6.0  # grey values 0 … 16, centred and scaled
    digits = torch.from_numpy(labels[:_IMAGES]).long()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.default_generator.manual_seed(key("digits_mlp", "model"))
        model = nn.Sequential(nn.Linear(64, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, 10)).double()

        def loss(weights: Weights) -> Tensor:
            return nn.functional.cross_entropy(torch.func.functional_call(model, dict(weights), images), digits)

        adam = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(_UPDATES):
            adam.zero_grad()
            nn.functional.cross_entropy(model(images), digits).backward()
            adam.step()
    return loss, {name: w.detach() for name, w in model.named_parameters()}
