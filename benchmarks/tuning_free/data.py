"""Real data that comes with scikit-learn, matplotlib and Python; nothing is downloaded. Splits never depend on a run's seed."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from danlu.keyed import generator
from danlu.task.corpus import read, split

__all__ = ["Cut", "columns", "digits", "elevation", "photograph", "pixels", "rows", "text"]

Cut = tuple[Tensor, Tensor, Tensor, Tensor]  # x, y, x_test, y_test


def rows(x: Tensor, y: Tensor, name: str, share: float = 0.25) -> Cut:
    """Hold out a share of the rows."""
    order = torch.randperm(len(x), generator=generator("tuning-free", name, "split"))
    test, train = order[: int(share * len(x))], order[int(share * len(x)) :]
    return x[train], y[train], x[test], y[test]


@cache
def digits() -> Cut:
    """1348 and 449 images (N, 1, 8, 8) of handwritten digits, in [0, 1]."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return rows(torch.from_numpy(x).float().view(-1, 1, 8, 8) / 16, torch.from_numpy(y).long(), "digits")


@cache
def columns(name: str) -> Cut:
    """Of scikit-learn's "breast_cancer", "wine" or "diabetes", 0.4 of it held out; columns scaled by the training rows."""
    from sklearn import datasets

    x, y = (torch.from_numpy(array) for array in getattr(datasets, f"load_{name}")(return_X_y=True))
    y = y.float()[:, None] if y.is_floating_point() else y.long()
    x, y, x_test, y_test = rows(x.float(), y, name, 0.4)
    mean, std = x.mean(0), x.std(0)
    return (x - mean) / std, y, (x_test - mean) / std, y_test


@cache
def photograph(name: str) -> Tensor:
    """A photograph, "china" or "flower", as (3, 213, 320) in [0, 1]: halved by averages."""
    from sklearn.datasets import load_sample_image

    image = torch.from_numpy(np.array(load_sample_image(f"{name}.jpg"))).float().movedim(-1, 0) / 255
    return torch.nn.functional.avg_pool2d(image, 2)


@cache
def elevation() -> Tensor:
    """Heights in metres on a grid (1, 86, 100): a map of the earth's surface that comes with matplotlib, averaged over 4×4."""
    from matplotlib.cbook import get_sample_data

    stored: Any = get_sample_data("jacksboro_fault_dem.npz")
    return torch.nn.functional.avg_pool2d(torch.from_numpy(stored["elevation"]).float()[None], 4)


def pixels(image: Tensor, name: str, share: float = 0.25) -> Cut:
    """Places in [−1, 1]² and the image's values (C,) there, a share of the places held out."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in image.shape[1:]), indexing="ij")
    return rows(torch.stack((y, x), -1).flatten(0, 1), image.flatten(1).T, name, share)


@cache
def text() -> tuple[Tensor, Tensor, int]:
    """Python's language reference as numbers of characters, for training and held out, and how many symbols there are."""
    corpus = split(read())
    return corpus.encode(corpus.train), corpus.encode(corpus.test), len(corpus.alphabet)
