"""What step.py writes: one table per set as Markdown, the numbers as JSON, and a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from peers import LIBRARIES, title_of

__all__ = ["HEAD", "Row", "line", "write"]

COLUMNS = [title_of(library) for library in LIBRARIES]


@dataclass(frozen=True)
class Row:
    """What was measured for one preset on one set; ratios are (median of the rounds, best against best)."""

    set: str
    preset: str
    bytes: float
    first_s: float
    ms: float
    best_ms: float
    floor_ms: float
    against: dict[str, tuple[float, float]]

    @property
    def share(self) -> float:
        """Of the floor that was reached, best against best, in percent."""
        return 100 * self.floor_ms / self.best_ms

    def rival(self, library: str) -> tuple[str, float, float] | None:
        """The quickest way of a library: its name, how many times our time it takes at the median, and best to best."""
        ways = [(way, *r) for way, r in self.against.items() if way.split()[0] == library]
        return min(ways, key=lambda way: way[1], default=None)


HEAD = f"{'preset':<24} {'B':>4} {'first s':>7} {'ms':>8} {'floor ms':>8} {'floor %':>7}" + "".join(f"{x:>20}" for x in COLUMNS)


def line(row: Row) -> str:
    """A row for a terminal; of each library its quickest way."""
    cells = (f"{_short(row.rival(library)):>20}" for library in COLUMNS)
    numbers = f"{row.bytes:4.1f} {row.first_s:7.2f} {row.ms:8.3f} {row.floor_ms:8.3f} {row.share:7.0f}"
    return f"{row.preset:<24} {numbers}{''.join(cells)}"


def _short(found: tuple[str, float, float] | None) -> str:
    if found is None:
        return "-"
    way = found[0].partition(" ")[2]
    return f"{found[1]:.2f} ({found[2]:.2f})" + (f" {way}" if way else "")


def write(folder: Path, facts: Mapping[str, str], rows: Sequence[Row], titles: Mapping[str, str]) -> None:
    """Write step.md, step.json and step.png, the latter where matplotlib is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {"machine": dict(facts), "rows": [asdict(row) for row in rows]}
    (folder / "step.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    (folder / "step.md").write_text("\n".join(_markdown(facts, rows, titles)) + "\n", encoding="utf-8")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    shown = [row for row in rows if any(row.rival(library) for library in COLUMNS)]
    sets = sorted({row.set for row in shown})
    if not sets:
        return
    counts = [sum(row.set == name for row in shown) for name in sets]
    figure = Figure(figsize=(9, 1.2 * len(sets) + 0.28 * sum(counts)), dpi=130, layout="constrained")
    panels = figure.subplots(len(sets), 1, squeeze=False, height_ratios=counts)[:, 0]
    colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
    for name, axes in zip(sets, panels, strict=True):
        own = [row for row in shown if row.set == name][::-1]
        for library, colour, marker in zip(COLUMNS, colours, "osD^v", strict=True):
            points = [(found[1], y) for y, row in enumerate(own) if (found := row.rival(library))]
            if points:
                axes.scatter(*zip(*points, strict=True), color=colour, marker=marker, label=library, s=28, zorder=3)
        axes.axvline(1.0, color="black", linewidth=1)
        axes.set(xscale="log", yticks=range(len(own)), yticklabels=[row.preset for row in own], title=titles[name])
        axes.set_xticks(ticks := [0.25, 0.5, 1, 2, 4, 8, 16], [f"{tick:g}×" for tick in ticks])
        axes.grid(axis="both", color="#dddddd")
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        axes.set_xlabel("time of the library's quickest way over danlu's: right of 1, danlu is faster")
    panels[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    figure.savefig(folder / "step.png")


def _markdown(facts: Mapping[str, str], rows: Sequence[Row], titles: Mapping[str, str]) -> Iterator[str]:
    yield "; ".join(f"{key} {value}" for key, value in facts.items()) + "."
    for name in sorted({row.set for row in rows}):
        yield from ("", f"**Set {name}: {titles[name]}**", "")
        yield f"| preset | bytes | first s | danlu ms | floor % | {' | '.join(COLUMNS)} |"
        yield "|---|--:|--:|--:|--:|" + "--:|" * len(COLUMNS)
        for row in (row for row in rows if row.set == name):
            cells = ["" if found is None else _short(found) for found in map(row.rival, COLUMNS)]
            numbers = [f"{row.bytes:.3g}", f"{row.first_s:.1f}", f"{row.ms:.3g}", f"{row.share:.0f}"]
            yield f"| {' | '.join([row.preset, *numbers, *cells])} |"
