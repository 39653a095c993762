"""Pictures of traces for papers and pages: contours, paths, legend, in colours that colour-blind readers tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from os import PathLike
from typing import Any

from torch import Tensor

from danlu.surface.surface import Surface
from danlu.surface.trace import Trace

__all__ = ["picture"]

# Okabe and Ito 2008, without the yellow, which white paper swallows; the dashes tell lines apart in grey print.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES = ("-", "--", "-.", ":")
_LEVELS = 24
_SOFT = 1e-4  # of the largest value: below it, contours would show the grid and not the function


def picture(path: str | PathLike[str], surface: Surface, traces: Mapping[str, Trace], title: str = "") -> None:
    """Draw the first start and learning rate of some traces over the surface's contours; pyplot is not touched.

    Args:
        path: the file to write; its ending says whether it is a PNG, an SVG or a PDF.
        surface: the surface; a path that leaves its domain is cut off.
        traces: traces by their label.
        title: above the picture.

    Raises:
        ImportError: without matplotlib, which is the extra ``danlu[plot]``.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("a picture needs matplotlib: pip install 'danlu[plot]'") from None
    figure = Figure(figsize=(6.4, 5.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    x, y, f = surface.grid(240, 200)
    depth = f - f.min()
    axes.contourf(*_plain(x, y, (depth + _SOFT * depth.max()).log()), levels=_LEVELS, cmap="Greys_r", alpha=0.35)
    for point in surface.minima:
        axes.plot(*point, marker="*", markersize=11, color="black", linestyle="none", zorder=4)
    for (label, trace), colour, dash in zip(traces.items(), cycle(_COLOURS), cycle(_DASHES), strict=False):
        points = trace.evaluated[0, 0]
        axes.plot(*_plain(*points.T), dash, color=colour, linewidth=1.5, label=label)
        alive = points[points.isfinite().all(-1)]
        axes.plot(*_plain(*alive[-1:].T), marker="o", markersize=6, color=colour, markeredgecolor="white", zorder=5)
    first = next(iter(traces.values())).points[0, 0, 0]
    axes.plot(*first.tolist(), marker="o", markersize=9, color="black", fillstyle="none", linestyle="none", label="start")
    left, right, bottom, top = surface.domain
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="x", ylabel="y", title=title)
    axes.legend(frameon=True, framealpha=0.85, fontsize=8)
    with rc_context({"svg.hashsalt": "danlu"}):  # the same picture is the same file
        figure.savefig(path, metadata={"Date": None} if str(path).endswith(".svg") else None)


def _plain(*tensors: Tensor) -> list[Any]:
    return [x.numpy() for x in tensors]
