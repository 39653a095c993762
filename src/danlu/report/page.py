"""The report of a run: one HTML file with everything in it, which needs no network and no server."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from danlu.inspection import Reading, verdicts
from danlu.report.charts import curves, heatmap, strips
from danlu.report.folder import RunFolder, dotted

__all__ = ["write_report"]

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
figure { margin: 0; } figcaption { font-size: .85rem; opacity: .75; } svg, img { max-width: 100%; height: auto; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.changed td:first-child::after { content: " ●"; } .verdict { border-left: 3px solid #D55E00; padding-left: .7rem; }
"""


def write_report(folder: str | PathLike[str], base: Mapping[str, Any] | None = None, name: str = "report.html") -> Path:
    """Write the report of a run into its folder.

    Args:
        folder: the run's, finished or not.
        base: the recipe that this one is compared to, with its tables; None compares nothing.
        name: of the file.

    Returns:
        Its path.

    Raises:
        FileNotFoundError: when the folder holds no run.
        ImportError: without matplotlib (``pip install 'danlu[plot]'``).
    """
    run = RunFolder.read(folder)
    parts = [_summary(run), _charts(run), *_inspection(run.readings), *_pictures(run.pictures), *_tables(run, base)]
    title = escape(f"{run.recipe.get('task', 'run')} · {run.path.resolve().name}")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    page = f'<!doctype html>\n<html lang="en">\n<head>{head}<style>{_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n'
    path = run.path / name
    path.write_text(page + "\n".join(parts) + "\n</body>\n</html>\n", encoding="utf-8")
    return path


def _summary(run: RunFolder) -> str:
    status = run.status
    said = [status.get("state", "unfinished"), f"{status['steps']} updates" if "steps" in status else ""]
    said += [f"{status['skipped']} skipped" if status.get("skipped") else ""]
    said += [f"{status['seconds']:.1f} s" if "seconds" in status else "", status.get("error", "")]
    rows = {"final": run.rows[-1] if run.rows else {}, "best": status.get("best", {})}
    names = [name for name in rows["final"] if "/" in name]
    table = _table(["", *names], [[which, *(_number(row.get(name)) for name in names)] for which, row in rows.items() if row])
    return f"<p>{escape(', '.join(x for x in said if x))}</p>\n{table}"


def _charts(run: RunFolder) -> str:
    charts = {**curves(run), **strips(run)}
    shown = [f"<figure>{svg}<figcaption>{escape(title)}</figcaption></figure>" for title, svg in charts.items()]
    return f'<h2>Curves</h2>\n<div class="grid">{"".join(shown)}</div>' if shown else "<p>No evaluation yet.</p>"


def _inspection(readings: Sequence[Reading]) -> Iterable[str]:
    if not readings or not readings[-1].layers:
        return
    found = verdicts(readings)
    yield f"<h2>Weights and gradients</h2>\n<p>{len(readings)} looks, the last at update {readings[-1].step}.</p>"
    yield "\n".join(f'<p class="verdict">{escape(str(verdict))}</p>' for verdict in found) or "<p>Nothing to complain of.</p>"
    caption = "gradients: log₂ of the magnitude upward, updates across, darker where more elements are"
    yield f"<figure>{heatmap(readings)}<figcaption>{caption}</figcaption></figure>"
    head = ["layer", "weight rms", "gradient rms", "zeros", "top 1 %", "excess kurtosis", "update/weight"]
    rows = [
        [name, *map(_number, (x.weight.rms, x.gradient.rms, x.gradient.zeros, x.gradient.top, x.gradient.kurtosis, x.ratio))]
        for name, x in readings[-1].layers.items()
    ]
    yield _table(head, rows)


def _pictures(paths: Sequence[Path]) -> Iterable[str]:
    if not paths:
        return
    yield "<h2>Pictures</h2>"
    kinds = {".png": "image/png", ".svg": "image/svg+xml"}
    for path in paths:
        data = base64.b64encode(path.read_bytes()).decode()
        image = f'<img alt="{escape(path.stem)}" src="data:{kinds[path.suffix]};base64,{data}">'
        yield f"<figure>{image}<figcaption>{escape(path.name)}</figcaption></figure>"


def _tables(run: RunFolder, base: Mapping[str, Any] | None) -> Iterable[str]:
    if run.recipe:
        own = run.recipe if base is None else dotted(base)
        changed = [own.get(key) != value for key, value in run.recipe.items()]
        there = [own.get(key, "—") if new else "" for key, new in zip(run.recipe, changed, strict=True)]
        yield f"<h2>Recipe{'' if base is None else ' (● differs from that of the task itself)'}</h2>"
        rows = [[key, value, old] for (key, value), old in zip(run.recipe.items(), there, strict=True)]
        yield _table(["key", "value", "" if base is None else "there"], rows, changed)
    if run.environment:
        yield "<h2>Environment</h2>"
        yield _table(["", ""], [[key, value] for key, value in run.environment.items()])


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], changed: Sequence[bool] = ()) -> str:
    if not rows:
        return ""
    marks = [*changed, *[False] * (len(rows) - len(changed))]
    top = "".join(f"<th>{escape(x)}</th>" for x in head)
    body = "".join(
        f"<tr{' class=changed' if mark else ''}>{''.join(f'<td>{escape(str(x))}</td>' for x in row)}</tr>"
        for row, mark in zip(rows, marks, strict=True)
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
