"""Planes through the weights of a network: random directions of the filters' own length, or where a run's path lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from danlu.keyed import generator

__all__ = ["Plane", "Weights", "filter_normalised", "principal_plane"]

Weights: TypeAlias = Mapping[str, Tensor]
_AT_ONCE = 128  # points: so many copies of the weights are held


class Plane(NamedTuple):
    """Weights origin + x·across + y·up, by name."""

    origin: Weights
    across: Weights
    up: Weights

    def at(self, points: Tensor) -> dict[str, Tensor]:
        """Return the weights at points (N, 2), stacked along a first dimension."""
        sides = {name: torch.stack([self.across[name], self.up[name]]) for name in self.origin}
        return {name: w + torch.tensordot(points.to(w), sides[name], 1) for name, w in self.origin.items()}

    def values(self, loss: Callable[[Weights], Tensor], points: Tensor) -> Tensor:
        """Return a loss at points (…, 2) of the plane; autograd goes through.

        Args:
            loss: weights by name → a number; it is mapped over points (`torch.func.vmap`).
            points: coordinates.
        """
        found = [torch.func.vmap(loss)(self.at(some)) for some in points.reshape(-1, 2).split(_AT_ONCE)]
        return torch.cat(found).reshape(points.shape[:-1])


def filter_normalised(weights: Weights, seed: int = 0) -> Plane:
    """A plane through weights along two random directions, in which each filter has the length of the weights' own.

    A filter is what makes one output: a row of a matrix, an output channel of a convolution. Vectors (biases, norms) do not
    move. So the picture does not change when a ReLU network's layers are scaled against each other.

    Source: Li et al. 2018 (arXiv:1712.09913), section 4.

    Args:
        weights: the plane's origin.
        seed: of the directions.

    Returns:
        The plane.
    """

    def direction(side: str) -> dict[str, Tensor]:
        return {name: _filters(w, generator(seed, "plane", side, name)) for name, w in weights.items()}

    return Plane(weights, direction("across"), direction("up"))


def _filters(w: Tensor, draw: torch.Generator) -> Tensor:
    if w.ndim < 2:
        return torch.zeros_like(w)
    d = torch.randn(w.shape, generator=draw, dtype=torch.float64).flatten(1)
    return (d / d.norm(dim=1, keepdim=True) * w.flatten(1).norm(dim=1, keepdim=True)).reshape(w.shape).to(w)


def principal_plane(path: Sequence[Weights]) -> tuple[Plane, Tensor]:
    """The plane through the last of some weights in which they lie best: the first two principal directions of the path.

    The directions are orthonormal, so that distances on the picture are distances between weights.

    Source: Li et al. 2018 (arXiv:1712.09913), section 7: differences to the last weights, not to the mean.

    Args:
        path: weights of one model, at least three, in the order of the run.

    Returns:
        The plane, and the path's points (N, 2) on it: its projection.

    Raises:
        ValueError: for fewer than three weights, or others than the last's.
    """
    if len(path) < 3:
        raise ValueError(f"principal_plane: needs the weights of at least 3 moments of a run, got {len(path)}")
    last = path[-1]
    if any({n: w.shape for n, w in each.items()} != {n: w.shape for n, w in last.items()} for each in path):
        raise ValueError("principal_plane: the weights must be of one model")
    away = torch.stack([torch.cat([(each[name] - last[name]).double().flatten() for name in last]) for each in path])
    directions = torch.linalg.svd(away, full_matrices=False).Vh[:2]
    directions = directions * torch.where(away[0] @ directions.T < 0, -1.0, 1.0)[:, None]  # the run begins at the top right
    sizes = [w.numel() for w in last.values()]
    across, up = (
        {name: part.reshape(last[name].shape).to(last[name]) for name, part in zip(last, row.split(sizes), strict=True)}
        for row in directions
    )
    return Plane(last, across, up), away @ directions.T
