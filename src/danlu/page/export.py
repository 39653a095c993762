"""The page as one file with precomputed paths, which opens from disk and needs no server."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from danlu.page.answer import paths, picture
from danlu.page.server import asset, plotly_js
from danlu.page.wish import Wish

__all__ = ["export"]

_RULES = ("sgd", "sgd_velocity", "rmsprop", "adam", "adamw", "nadam", "lion", "adan", "schedule_free_adamw", "prodigy")
_SURFACES = ("quadratic", "rosenbrock", "beale")
_FRAMES = 60  # of a path
_RATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def export(
    out: str | PathLike[str],
    rules: Sequence[str] = _RULES,
    surfaces: Sequence[str] = _SURFACES,
    lrs: Sequence[float] = _RATES,
    steps: int = 300,
    told: Callable[[str], object] | None = None,
) -> None:
    """Write the page with the paths of some rules on some surfaces, from each surface's start.

    Args:
        out: the file to write; it holds Plotly (4.8 MB) and about 6 kB per path.
        rules: compositions.
        surfaces: names of surfaces.
        lrs: learning rates.
        steps: updates; 60 of them are kept.
        told: is told each surface whose paths are there; all take some ten seconds.

    Raises:
        FileNotFoundError: when there is no folder for the file.
        ValueError: for what `danlu page` would refuse.
    """
    if not Path(out).parent.is_dir():
        raise FileNotFoundError(f"{Path(out).parent} is not a folder; make it before the page is exported into it")
    runs: dict[str, dict[str, list[Any]]] = {}
    pictures: dict[str, Any] = {}
    for name in surfaces:
        runs[name] = {}
        for rule in rules:
            sides = [{"rule": rule, "lr": lr} for lr in lrs]
            wish = Wish.read({"surface": {"name": name}, "steps": steps, "sides": sides})
            runs[name][rule] = paths(wish, every=max(1, steps // _FRAMES))
            pictures[name] = picture(wish.surface, 64, 48)
        if told is not None:
            told(f"{name}: {len(rules) * len(lrs)} paths")
    data = {"pictures": pictures, "runs": runs, "lrs": list(lrs), "steps": steps}
    Path(out).write_text(_inlined(json.dumps(data, separators=(",", ":"))), encoding="utf-8")


def _inlined(data: str) -> str:
    page = asset("index.html").replace("{{token}}", "")
    parts = {
        '<link rel="stylesheet" href="style.css?token=">': f"<style>{asset('style.css')}</style>",
        '<script id="plotly" async src="plotly.js?token="></script>': f"<script>{plotly_js()}</script>",
        '<script type="module" src="page.js?token="></script>': "<script>window.DANLU = "
        + data.replace("</", "<\\/")
        + '</script><script type="module">'
        + asset("page.js")
        + "</script>",
    }
    for tag, text in parts.items():
        if tag not in page:
            raise RuntimeError(f"the page lacks {tag}")
        page = page.replace(tag, text)
    return page
