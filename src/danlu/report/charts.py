"""Charts of a run as SVG text, readable on light and dark ground."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from danlu.inspection import Reading
from danlu.report.folder import RunFolder

__all__ = ["curves", "heatmap", "strips"]

# Okabe and Ito's palette, which colour-blind readers can tell apart; black left out, since the ground may be dark.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_GREY = "#808080"
Points = tuple[list[float], list[float]]


def curves(run: RunFolder) -> dict[str, str]:
    """Return a chart per measure: ``loss`` has "train/loss", "valid/loss" and their like, against the update.

    Raises:
        ImportError: without matplotlib.
    """
    names: dict[str, list[str]] = {}
    for key in {key: None for row in run.rows for key in row}:
        if "/" in key:
            names.setdefault(key.split("/", 1)[1], []).append(key)
    return {
        measure: _chart({key: _points(run.rows, key) for key in keys}, log=measure == "loss") for measure, keys in names.items()
    }


def strips(run: RunFolder) -> dict[str, str]:
    """Return charts of learning rate and gradient norm, of the logged updates or else of the evaluations."""
    rows = [{**x, "lr": x["lr"][0]} for x in run.updates] or list(run.rows)
    titles = {"lr": "learning rate", "grad_norm": "gradient norm, before clipping"}
    return {
        title: _chart({key: _points(rows, key)}, log=key == "grad_norm")
        for key, title in titles.items()
        if any(key in row for row in rows)
    }


def heatmap(readings: Sequence[Reading]) -> str:
    """Return the picture of `danlu.inspection.heatmaps` of the gradients as SVG text."""
    from danlu.inspection import heatmaps

    return _svg(heatmaps(readings, "gradients"))


def _points(rows: Sequence[Mapping[str, Any]], key: str) -> Points:
    pairs = [(row["step"], row[key]) for row in rows if key in row]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _chart(series: Mapping[str, Points], *, log: bool) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    axis = figure.subplots()
    for (name, (x, y)), colour in zip(series.items(), _COLOURS * len(series), strict=False):
        axis.plot(x, y, color=colour, label=name, linewidth=1.6, marker="o" if len(x) < 40 else None, markersize=3)
    finite = [v for _, y in series.values() for v in y if math.isfinite(v)]
    if log and finite and min(finite) > 0 and max(finite) > 30 * min(finite):
        axis.set_yscale("log")
    axis.set_xlabel("update")
    axis.grid(color=_GREY, alpha=0.25, linewidth=0.6)
    for spine in axis.spines.values():
        spine.set_visible(False)
    if len(series) > 1:
        axis.legend(frameon=False, labelcolor=_GREY)
    return _svg(figure)


def _svg(figure: Any) -> str:
    for axis in figure.axes:
        axis.tick_params(colors=_GREY)
        for label in (axis.xaxis.label, axis.yaxis.label, axis.title):
            label.set_color(_GREY)
    for text in figure.texts:
        text.set_color(_GREY)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
