"""What was seen of every layer at one update."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from danlu.inspection.gauges import Gauges
from danlu.inspection.histogram import LogHistogram

__all__ = ["Layer", "Reading", "look", "read", "update_ratio"]


@final
@dataclass(frozen=True)
class Layer:
    """One parameter: its weight, its gradient, and how far the update moved it.

    Args:
        weight: gauges of p before the update.
        gradient: gauges of the gradient of the mean loss, before clipping.
        weights: histogram of p.
        gradients: histogram of the gradient.
        ratio: ‖Δp‖/‖p‖ of the update; nan when nothing was applied, or p was 0. About 1e-3 is usual.
    """

    weight: Gauges
    gradient: Gauges
    weights: LogHistogram
    gradients: LogHistogram
    ratio: float = math.nan

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        gauges = {"weight": asdict(self.weight), "gradient": asdict(self.gradient)}
        return {**gauges, "weights": self.weights.to_json(), "gradients": self.gradients.to_json(), "ratio": self.ratio}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Layer:
        """Read what `to_json` gave."""
        weights, gradients = (LogHistogram.from_json(data[key]) for key in ("weights", "gradients"))
        return cls(Gauges(**data["weight"]), Gauges(**data["gradient"]), weights, gradients, data["ratio"])


@final
@dataclass(frozen=True)
class Reading:
    """Every layer with a gradient, in the model's order; as text, a table.

    Args:
        step: number of the update.
        layers: by parameter name.
        clipped: whether the update was clipped.
    """

    step: int
    layers: Mapping[str, Layer] = field(default_factory=dict)
    clipped: bool = False

    def __str__(self) -> str:
        width = max([len(name) for name in self.layers] + [5])
        lines = [f"{'layer':{width}}  weight rms  gradient rms   zeros  top 1 %  kurtosis  update/weight"]
        for name, x in self.layers.items():
            g = x.gradient
            sizes = f"{x.weight.rms:10.3g}  {g.rms:12.3g}  {g.zeros:6.1%}"
            lines.append(f"{name:{width}}  {sizes}  {g.top:7.1%}  {g.kurtosis:8.3g}  {x.ratio:13.2g}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; `from_json` reads it back."""
        return {"step": self.step, "clipped": self.clipped, "layers": {name: x.to_json() for name, x in self.layers.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reading:
        """Read what `to_json` gave, or what JSON made of it."""
        return cls(data["step"], {name: Layer.from_json(x) for name, x in data["layers"].items()}, data["clipped"])


def look(model: nn.Module, step: int = 0) -> Reading:
    """Look at every parameter that has a gradient: in a loop of your own, between ``backward()`` and the next ``zero_grad()``.

    Args:
        model: is left as it is.
        step: number of the update, for whoever compares several looks.

    Returns:
        The reading, without `ratio`, which only who sees the update can know.

    Raises:
        ValueError: when no parameter has a gradient.
    """
    layers = {name: read(p.detach(), p.grad) for name, p in model.named_parameters() if p.grad is not None}
    if not layers:
        raise ValueError("look: no parameter has a gradient; call it after backward() and before zero_grad()")
    return Reading(step, layers)


def read(weight: Tensor, gradient: Tensor) -> Layer:
    """Look at one parameter before its update; what a sparse gradient leaves out is 0."""
    gradient = gradient.to_dense()
    return Layer(Gauges.of(weight), Gauges.of(gradient), LogHistogram.of(weight), LogHistogram.of(gradient))


@torch.no_grad()
def update_ratio(before: Tensor, after: Tensor) -> float:
    """‖after − before‖/‖before‖; nan when before is 0."""
    size = float(torch.linalg.vector_norm(before))
    return float(torch.linalg.vector_norm(after - before)) / size if size else math.nan
