"""Pictures of traces for papers and pages: contours, paths, legend, in colours that colour-blind readers tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from danlu.surface.surface import Surface
from danlu.surface.trace import Trace

__all__ = ["picture", "plane_picture"]

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
    axes = _contours(surface.grid(240, 200) if surface.cost == 1 else surface.grid(72, 60))
    if surface.minima:
        axes.plot(*zip(*surface.minima, strict=True), "*", markersize=11, color="black", label="lowest", zorder=4)
    for (label, trace), colour, dash in zip(traces.items(), cycle(_COLOURS), cycle(_DASHES), strict=False):
        _line(axes, trace.evaluated[0, 0], label, color=colour, linestyle=dash)
    first = next(iter(traces.values())).points[0, 0, 0]
    axes.plot(*first.tolist(), marker="o", markersize=9, color="black", fillstyle="none", linestyle="none", label="start")
    axes.set(xlabel="x", ylabel="y", title=title)
    axes.legend(frameon=True, framealpha=0.85, fontsize=8)
    _save(axes, path)


def plane_picture(
    path: str | PathLike[str], grid: tuple[Tensor, Tensor, Tensor], points: Tensor, title: str = "", label: str = "the run"
) -> None:
    """Draw a path over the loss on a plane through weights.

    Args:
        path: the file to write, as in `picture`.
        grid: x (C), y (R) and the loss (R, C).
        points: of the path, (N, 2).
        title: above the picture.
        label: of the path.

    Raises:
        ImportError: without matplotlib, which is the extra ``danlu[plot]``.
    """
    axes = _contours(grid, lines=True)
    _line(axes, points, label, color=_COLOURS[0], marker=".")
    axes.plot(*points[0].tolist(), marker="o", markersize=9, color="black", fillstyle="none", linestyle="none", label="start")
    axes.set(xlabel="along the first direction", ylabel="along the second", title=title)
    axes.legend(frameon=True, framealpha=0.85, fontsize=8)
    _save(axes, path)


def _contours(grid: tuple[Tensor, Tensor, Tensor], *, lines: bool = False) -> Any:
    """Axes with the logarithm of a function above its least value on the grid; or of the function itself, with its values."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("a picture needs matplotlib: pip install 'danlu[plot]'") from None
    axes: Any = Figure(figsize=(6.4, 5.2), dpi=150, layout="constrained").subplots()
    x, y, f = grid
    grey = {"cmap": "Greys_r", "alpha": 0.35}
    if lines:
        levels = _quantiles(f)
        bands = sorted({*levels, *(x.item() for x in f[f.isfinite()].aminmax())})
        axes.contourf(*_plain(x, y, f), levels=bands, norm="log" if bands[0] > 0 else None, **grey)
        axes.clabel(axes.contour(*_plain(x, y, f), levels=levels, colors="#555555", linewidths=0.6), fontsize=7, fmt="%.3g")
    else:
        depth = f - f.min()
        axes.contourf(*_plain(x, y, (depth + _SOFT * depth.max()).log()), levels=_LEVELS, **grey)
    axes.set(xlim=(x[0].item(), x[-1].item()), ylim=(y[0].item(), y[-1].item()))
    return axes


def _quantiles(f: Tensor) -> list[float]:
    """Levels that as many points lie between."""
    return f.flatten().quantile(torch.linspace(0.02, 0.9, 9, dtype=f.dtype)).unique().tolist()


def _line(axes: Any, points: Tensor, label: str, **style: Any) -> None:
    """A path, with a dot where it ends."""
    axes.plot(*_plain(*points.T), linewidth=1.5, label=label, **style)
    alive = points[points.isfinite().all(-1)]
    axes.plot(*_plain(*alive[-1:].T), marker="o", markersize=6, color=style["color"], markeredgecolor="white", zorder=5)


def _save(axes: Any, path: str | PathLike[str]) -> None:
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "danlu"}):  # the same picture is the same file
        axes.figure.savefig(path, metadata={"Date": None} if str(path).endswith(".svg") else None)


def _plain(*tensors: Tensor) -> list[Any]:
    return [x.numpy() for x in tensors]
