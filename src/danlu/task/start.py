"""How the weights of a task's model may start, by name."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from danlu.layers import He, Orthogonal, Scheme, Xavier, initialize

__all__ = ["STARTS", "start"]

STARTS: Mapping[str, Scheme] = {"he": He(), "orthogonal": Orthogonal(), "xavier": Xavier()}


def start(model: nn.Module, name: str, seed: int) -> None:
    """Draw the linear and convolution layers of a model by a scheme of `STARTS`; see `danlu.layers.initialize`.

    Args:
        model: is changed, also where it had weights that start in a way of their own, such as at 0.
        name: of the scheme.
        seed: of the run.
    """
    initialize(model, STARTS[name], seed)
