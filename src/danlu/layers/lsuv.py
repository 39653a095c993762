"""Initialisation by the data: every layer's outputs start with variance 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from danlu.layers.calls import call_order
from danlu.layers.standardized import StandardizedConv2d, StandardizedLinear
from danlu.ranges import Count, Positive, check, hints

__all__ = ["lsuv"]


def lsuv(
    model: nn.Module, run: Callable[[nn.Module], Any], *, tolerance: Positive = 0.01, attempts: Count = 10
) -> dict[str, float]:
    """W ← W/std(y), layer by layer in the order of their calls, until the outputs y of each have variance 1.

    Layer-sequential unit-variance (Mishkin & Matas 2015, arXiv:1511.06422); their orthonormal start is
    ``initialize(model, Orthogonal(), seed)`` beforehand. A layer without bias is done in one attempt. Layers that standardise
    their weights keep their size by themselves and are left alone, as are transposed convolutions.

    Args:
        model: its weights change; it is run in the mode it is in.
        run: ``run(model)`` runs it on one batch, always the same one.
        tolerance: how far from 1 a variance may stay.
        attempts: per layer.

    Returns:
        The standard deviation of every layer's outputs before it was scaled, behind layers that already were, by name.

    Raises:
        ValueError: when the outputs of a layer are constant or not finite, as behind zero weights: zero residuals afterwards;
            or when its weight is no parameter but made from others, as by weight_norm, spectral_norm or pruning.
        RuntimeError: when a variance is not within the tolerance after the last attempt. The weights are then as before.
    """
    check("lsuv", hints(lsuv), {"tolerance": tolerance, "attempts": attempts})
    names = {
        module: name
        for name, module in model.named_modules()
        if (isinstance(module, nn.Linear) or (isinstance(module, _ConvNd) and not module.transposed))
        and not isinstance(module, (StandardizedConv2d, StandardizedLinear))
    }
    before = {module: module.weight.detach().clone() for module in names}
    found: dict[str, float] = {}
    with torch.no_grad():
        try:
            for module in call_order(names, lambda: run(model)):
                found[names[module]] = _scale(model, run, module, names[module], tolerance, attempts)
        except BaseException:
            for module, weight in before.items():
                module.weight.copy_(weight)
            raise
    return found


def _scale(model: nn.Module, run: Callable[[nn.Module], Any], module: Any, name: str, tolerance: float, attempts: int) -> float:
    if "weight" not in dict(module.named_parameters(recurse=False)):
        what = f"the weight of {name!r} is made from other parameters, as by weight_norm"
        raise ValueError(f"lsuv: {what}, and cannot be scaled; put the parametrisation on afterwards")
    outputs: list[Tensor] = []
    hook = module.register_forward_hook(lambda module, args, y: outputs.append(y.double()))
    first = None
    try:
        for _ in range(attempts + 1):
            outputs.clear()
            run(model)
            std = float(torch.cat([y.flatten() for y in outputs]).std(correction=0))
            if not 0 < std < float("inf"):
                raise ValueError(f"lsuv: the outputs of {name} have standard deviation {std:g}; zero residuals after lsuv")
            first = std if first is None else first
            if abs(std**2 - 1) <= tolerance:
                return first
            module.weight.div_(std)
    finally:
        hook.remove()
    raise RuntimeError(f"lsuv: {name} has variance {std**2:g} after {attempts} attempts; raise tolerance or attempts")
