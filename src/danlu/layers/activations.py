"""What goes through a model: mean and deviation behind every layer, and what to make of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

__all__ = ["ActivationReport", "LayerActivity", "activations"]

SMALL: Final = 0.1
LARGE: Final = 10.0


@final
@dataclass(frozen=True)
class LayerActivity:
    """The outputs of one layer over a batch.

    Args:
        name: of the layer in the model.
        kind: its class.
        mean: over all elements.
        std: over all elements.
        spread: standard deviation over the samples, as root mean square over the elements of one sample. Where it is far below
            `std`, all samples look alike.
        zeros: share of the elements that are 0.
    """

    name: str
    kind: str
    mean: float
    std: float
    spread: float
    zeros: float


@final
@dataclass(frozen=True)
class ActivationReport:
    """One row per layer, in the order of their calls; as text, a table with the verdict below.

    Args:
        rows: the layers.
    """

    rows: Sequence[LayerActivity]

    @property
    def growth(self) -> float:
        """By what factor the spread changes from one row to the next, as the geometric mean; nan for fewer than two rows."""
        if len(self.rows) < 2:
            return math.nan
        first, last = self.rows[0].spread, self.rows[-1].spread
        if not (first > 0 and last > 0):
            return 0.0 if first > 0 else math.nan
        return (last / first) ** (1 / (len(self.rows) - 1))

    @property
    def verdict(self) -> str:
        """One line: what goes wrong first, or that signals keep their size (spreads within 0.1 and 10)."""
        for row in self.rows:
            if not math.isfinite(row.std):
                return f"not finite from {row.name} on"
            if row.zeros == 1.0:
                return f"dead: {row.name} gives zeros alone"
            if row.spread > LARGE:
                return f"explodes: spread {row.spread:.3g} behind {row.name}, a factor {self.growth:.3g} per layer"
            if row.spread < SMALL:
                how = "samples look alike" if row.std >= SMALL else "vanishes"
                return f"{how}: spread {row.spread:.3g} behind {row.name}, a factor {self.growth:.3g} per layer"
        return f"keeps its size: spreads from {min(r.spread for r in self.rows):.3g} to {max(r.spread for r in self.rows):.3g}"

    def __str__(self) -> str:
        width = max([len(row.name) for row in self.rows] + [5])
        kind = max([len(row.kind) for row in self.rows] + [4])
        lines = [f"{'layer':{width}}  {'kind':{kind}}  {'mean':>10} {'std':>10} {'spread':>10} {'zeros':>6}"]
        lines += [
            f"{r.name:{width}}  {r.kind:{kind}}  {r.mean:10.3g} {r.std:10.3g} {r.spread:10.3g} {r.zeros:6.0%}"
            for r in self.rows
        ]
        return "\n".join([*lines, self.verdict])


def activations(
    model: nn.Module,
    run: Callable[[nn.Module], Any],
    layers: Callable[[nn.Module], bool] = lambda module: isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)),
) -> ActivationReport:
    """Run the model once as it is, mode included, without gradients, and measure what its layers give.

    Args:
        model: modes, parameters and gradients are left alone; in train mode batch norms count the batch, as they always do.
        run: ``run(model)`` runs it on a batch of at least two samples.
        layers: which modules to measure; linear and convolution layers if not said. Their outputs must be tensors (N, …).

    Returns:
        The report; a layer that is called twice has two rows.

    Raises:
        ValueError: when no such layer was called, or there is a single sample.
    """
    rows: list[LayerActivity] = []

    def see(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def measure(module: nn.Module, _: Any, y: Tensor) -> None:
            y = y.double()
            if len(y) < 2:
                raise ValueError("activations: a single sample has no spread; give a batch of at least two")
            spread = y.var(dim=0).mean().sqrt()
            rows.append(
                LayerActivity(
                    name,
                    type(module).__name__,
                    float(y.mean()),
                    float(y.std(correction=0)),
                    float(spread),
                    float((y == 0).double().mean()),
                )
            )

        return measure

    with ExitStack() as stack, torch.no_grad():
        for name, module in model.named_modules():
            if layers(module):
                stack.callback(module.register_forward_hook(see(name)).remove)
        run(model)
    if not rows:
        raise ValueError("activations: none of the chosen layers was called; choose others with layers=")
    return ActivationReport(rows)
