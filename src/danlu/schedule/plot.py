"""Pictures of schedules: `text` for the terminal, `png` for a file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import cycle
from os import PathLike

import numpy as np

from danlu.schedule.schedule import Schedule

__all__ = ["png", "text"]

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # bits of a braille cell: column, then row from the top
_POINTS = 4000  # of a curve in a picture: more than it has pixels


def text(
    schedule: Schedule,
    total: int,
    steps_per_epoch: int | None = None,
    *,
    lr: float = 1.0,
    width: int = 72,
    height: int = 12,
) -> str:
    """Draw lr × factor(k) for k = 0 … total in braille dots, two across and four down per character.

    Args:
        schedule: what to draw.
        total: updates of the run.
        steps_per_epoch: updates of one epoch, where the schedule needs it.
        lr: the peak, which is the top of the picture; its bottom is 0.
        width: characters of a line, labels included, at least 24.
        height: lines of the curve, at least 3; three more hold the caption and the horizontal axis.

    Returns:
        The lines, joined; none ends in a blank.

    Raises:
        ValueError: when the picture is too small to be read.
    """
    if width < 24 or height < 3:
        raise ValueError(f"text: width must be at least 24 and height at least 3, got {width} and {height}")
    labels = {0: f"{lr:.3g}", height // 2: f"{lr / 2:.3g}", height - 1: "0"}
    margin = max(map(len, labels.values()))
    columns = width - margin - 2
    last = 2 * columns - 1
    cells = [[0] * columns for _ in range(height)]
    above = None
    for x in range(last + 1):
        factor = schedule.factor(x * total // last, total, steps_per_epoch)
        y = round((1.0 - min(factor, 1.0)) * (4 * height - 1))
        for dot in _between(y, y if above is None else above):
            cells[dot // 4][x // 2] |= _DOTS[x % 2][dot % 4]
        above = y
    lines = [f"{labels.get(i, ''):>{margin}} ┤{_braille(row)}".rstrip() for i, row in enumerate(cells)]
    ends = f"0{'update':^{columns - 1 - len(str(total))}}{total}"
    return "\n".join([f"{'lr':>{margin}}", *lines, f"{'':{margin}} └{'─' * columns}", f"{'':{margin}}  {ends}"])


def _between(y: int, above: int) -> range:
    """The dots that join this column to the one before it, so that a jump is a line and not two loose ends."""
    if abs(y - above) <= 1:
        return range(y, y + 1)
    return range(above + 1, y + 1) if above < y else range(y, above)


def _braille(row: list[int]) -> str:
    return "".join(chr(0x2800 + bits) if bits else " " for bits in row)


def png(
    path: str | PathLike[str],
    schedules: Mapping[str, Schedule],
    total: int,
    steps_per_epoch: int | None = None,
    *,
    lr: float = 1.0,
) -> None:
    """Draw lr × factor(k) of several schedules into one PNG file; pyplot and its state are not touched.

    Args:
        path: the file to write.
        schedules: schedules by the label they have in the legend.
        total: updates of the run.
        steps_per_epoch: updates of one epoch; adds an axis in epochs.
        lr: the peak.

    Raises:
        ImportError: without matplotlib, which is the extra ``danlu[plot]``.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise ImportError("a PNG needs matplotlib: pip install 'danlu[plot]'; text() draws without it") from None
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    points = min(total, _POINTS)
    steps = [i * total // points for i in range(points + 1)]
    for (label, schedule), dash in zip(schedules.items(), cycle(("-", "--", "-.", ":")), strict=False):  # two may be one line
        rates = [lr * schedule.factor(k, total, steps_per_epoch) for k in steps]
        axes.step(
            steps, rates, where="post", label=label, linewidth=1.6, linestyle=dash
        )  # rate k holds for the whole of update k
    axes.set(xlim=(0, total), ylim=(0, 1.05 * lr), xlabel="update", ylabel="learning rate")
    axes.yaxis.set_major_formatter("{x:.3g}")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if steps_per_epoch is not None:
        epochs = axes.secondary_xaxis("top", (partial(np.multiply, 1 / steps_per_epoch), partial(np.multiply, steps_per_epoch)))
        epochs.set_xlabel("epoch")
        epochs.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("Learning rate over the run")
    axes.legend(frameon=False)
    figure.savefig(path, format="png")
