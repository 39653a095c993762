"""Pictures of readings: how the magnitudes of weights and gradients move over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from danlu.inspection.reading import Reading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["heatmaps"]

_SEEN = 0.02  # a paler share is not seen; one stray element would else leave most of every panel empty


def heatmaps(readings: Sequence[Reading], what: Literal["weights", "gradients"]) -> Figure:
    """Draw a panel per layer: time across, log₂|x| upward, darker where more elements are.

    Magnitudes that nowhere have 2 % of a layer's elements are cut off above and below.

    Args:
        readings: at least one, in order.
        what: the weights or the gradients.

    Returns:
        A figure; ``figure.savefig("gradients.png")`` writes it.

    Raises:
        ValueError: when there is nothing to draw.
        ImportError: without matplotlib (``pip install 'danlu[plot]'``).
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = list(dict.fromkeys(name for reading in readings for name in reading.layers))
    if not names:
        raise ValueError("heatmaps: no reading has a layer; inspect a run with gradients first")
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.2 * columns, 0.4 + 2.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    counts = {name: _counts(readings, name, what) for name in names}
    used = np.flatnonzero(sum(np.nan_to_num(x).max(axis=1) >= _SEEN for x in counts.values()))
    low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 128)
    steps = [reading.step for reading in readings]
    edges = [*steps, steps[-1] + max(1, (steps[-1] - steps[0]) // max(1, len(steps) - 1))]
    for axis, name in zip(axes.flat, names, strict=False):
        shares = counts[name][low:high]
        axis.pcolormesh(edges, np.arange(low, high + 1) - 64, shares, cmap="Blues", vmin=0.0, rasterized=True)
        axis.set_title(name, fontsize=8)
        axis.tick_params(labelsize=7)
        axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axis in list(axes.flat)[len(names) :]:
        axis.set_visible(False)
    figure.supxlabel("update", fontsize=8)
    figure.supylabel(f"log₂ |{'p' if what == 'weights' else 'g'}|", fontsize=8)
    return figure


def _counts(readings: Sequence[Reading], name: str, what: Literal["weights", "gradients"]) -> np.ndarray:
    """Shares of the non-zero elements by magnitude (rows) and reading (columns); nan where the layer was not seen."""
    columns = []
    for reading in readings:
        layer = reading.layers.get(name)
        counts = np.full(128, np.nan)
        if layer is not None:
            counts = np.array((layer.weights if what == "weights" else layer.gradients).magnitudes, dtype=float)
            counts /= max(1.0, counts.sum())
        columns.append(counts)
    return np.stack(columns, axis=1)
