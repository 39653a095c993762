"""Blocks of a tensor that share one number: its rows, or all of it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

__all__ = ["Blocks", "block_mean", "block_zeros"]

Blocks: TypeAlias = Literal["row", "tensor"]


def block_mean(x: Tensor, blocks: Blocks) -> Tensor:
    """Return the mean of every block, to be broadcast over x.

    Args:
        x: a tensor (O, …).
        blocks: "row" for a block per index of the first dimension, which is an output neuron or a token; a tensor of fewer
            than two dimensions is one block all the same. "tensor" for one block.

    Returns:
        (O, 1, …) for rows, (1, 1, …) for the tensor.
    """
    own = tuple(range(1 if blocks == "row" and x.ndim > 1 else 0, x.ndim))
    return x.mean(own, keepdim=True) if own else x


def block_zeros(x: Tensor, blocks: Blocks) -> Tensor:
    """A zero for every block of x, in the shape of `block_mean`."""
    return torch.zeros_like(block_mean(x, blocks))
