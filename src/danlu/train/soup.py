"""Soups: the average of the weights of several models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from os import PathLike

import torch
from torch import Tensor

from danlu.train.transfer import read_weights

__all__ = ["greedy_soup", "soup"]

Weights = Mapping[str, Tensor]


def soup(models: Sequence[str | PathLike[str] | Weights], weights: Sequence[float] | None = None) -> dict[str, Tensor]:
    """Σ cᵢ wᵢ/Σ cᵢ of the weights of models of one architecture, one tensor at a time, in double precision.

    Whole numbers (BatchNorm's counter) are the first model's. Averaged BatchNorm statistics are not those of the
    averaged weights: compute them anew with `danlu.layers.recalibrate`. It works for models that lie in one valley, such
    as fine-tunings of the same weights; the average of unrelated models is none.

    Source: Wortsman et al. 2022 (arXiv:2203.05482).

    Args:
        models: files, as in `read_weights`, or state dictionaries.
        weights: c, not negative, with a sum above 0; None for equal ones.

    Returns:
        A state dictionary with the first one's dtypes.

    Raises:
        ValueError: for no models, weights that do not fit them, or models with different names or shapes.
    """
    shares = [1.0] * len(models) if weights is None else [float(c) for c in weights]
    if not models or len(shares) != len(models) or min(shares) < 0 or not sum(shares) > 0:
        raise ValueError(f"soup: needs models and as many weights, at least 0, not all 0; got {len(models)} models, {shares}")
    return _mixed([_read(model) for model in models], shares)


def greedy_soup(
    models: Sequence[str | PathLike[str] | Weights], evaluate: Callable[[dict[str, Tensor]], float]
) -> tuple[dict[str, Tensor], list[int]]:
    """Add one model after the other, best first, keeping each that does not make the average worse.

    Every model is evaluated once alone and once in the soup. The result is never worse than the best model on the data
    of `evaluate`, so those must not be the data that the result is reported on. A nan is worse than any number.

    Source: Wortsman et al. 2022 (arXiv:2203.05482), recipe 1.

    Args:
        models: as in `soup`.
        evaluate: a state dictionary → a number, higher is better, such as accuracy.

    Returns:
        The average, and the positions of the models in it, in the order in which they were added.

    Raises:
        ValueError: for no models, or models with different names or shapes.
    """
    if not models:
        raise ValueError("greedy_soup: needs at least one model")
    read = [_read(model) for model in models]
    alone = [-math.inf if math.isnan(value := evaluate(dict(each))) else value for each in read]
    order = sorted(range(len(read)), key=lambda i: -alone[i])
    chosen, best, now = order[:1], alone[order[0]], dict(read[order[0]])
    for i in order[1:]:
        mixed = _mixed([read[j] for j in (*chosen, i)], [1.0] * (len(chosen) + 1))
        if (value := evaluate(mixed)) >= best:
            chosen, best, now = [*chosen, i], value, mixed
    return now, chosen


def _read(model: str | PathLike[str] | Weights) -> Weights:
    return model if isinstance(model, Mapping) else read_weights(model)


def _mixed(models: Sequence[Weights], shares: Sequence[float]) -> dict[str, Tensor]:
    first, whole = models[0], sum(shares)
    for i, model in enumerate(models[1:], 1):
        different = first.keys() ^ model.keys() or {name for name in first if first[name].shape != model[name].shape}
        if different:
            raise ValueError(f"soup: model {i} differs from model 0 in {min(different)!r}; they must be of one architecture")
    mixed: dict[str, Tensor] = {}
    for name, tensor in first.items():
        if not (tensor.is_floating_point() or tensor.is_complex()):
            mixed[name] = tensor.clone()
            continue
        total = torch.zeros_like(tensor, dtype=torch.promote_types(tensor.dtype, torch.float64))
        for model, share in zip(models, shares, strict=True):
            total.add_(model[name].to(total), alpha=share / whole)
        mixed[name] = total.to(tensor.dtype)
    return mixed
