"""What was seen of every layer at one update."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from danlu.inspection.gauges import Gauges
from danlu.inspection.histogram import LogHistogram

__all__ = ["Layer", "Reading", "read", "update_ratio"]


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
    """Every layer with a gradient, in the model's order.

    Args:
        step: number of the update.
        layers: by parameter name.
        clipped: whether the update was clipped.
    """

    step: int
    layers: Mapping[str, Layer] = field(default_factory=dict)
    clipped: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; `from_json` reads it back."""
        return {"step": self.step, "clipped": self.clipped, "layers": {name: x.to_json() for name, x in self.layers.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reading:
        """Read what `to_json` gave, or what JSON made of it."""
        return cls(data["step"], {name: Layer.from_json(x) for name, x in data["layers"].items()}, data["clipped"])


def read(weight: Tensor, gradient: Tensor) -> Layer:
    """Look at one parameter before its update; what a sparse gradient leaves out is 0."""
    gradient = gradient.to_dense()
    return Layer(Gauges.of(weight), Gauges.of(gradient), LogHistogram.of(weight), LogHistogram.of(gradient))


@torch.no_grad()
def update_ratio(before: Tensor, after: Tensor) -> float:
    """‖after − before‖/‖before‖; nan when before is 0."""
    size = float(torch.linalg.vector_norm(before))
    return float(torch.linalg.vector_norm(after - before)) / size if size else math.nan
