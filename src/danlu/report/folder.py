"""A run's folder, read back: what there is of it, whole or cut off."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, final

from danlu.inspection import Reading

__all__ = ["RunFolder", "dotted"]


@final
@dataclass(frozen=True)
class RunFolder:
    """What a run has left behind so far; a run under way or one that was killed can be read as well.

    Args:
        path: the folder.
        status: of status.json.
        recipe: of recipe.toml, with dotted keys.
        environment: of the latest start in env.json, with dotted keys.
        rows: of the evaluations, in order.
        updates: of the updates that were logged, in order.
        readings: of inspection.jsonl, in order.
        pictures: files with pictures.
    """

    path: Path
    status: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[Mapping[str, float], ...] = ()
    updates: tuple[Mapping[str, Any], ...] = ()
    readings: tuple[Reading, ...] = ()
    pictures: tuple[Path, ...] = ()

    @classmethod
    def read(cls, path: str | PathLike[str]) -> RunFolder:
        """Read what is there.

        Returns:
            The run so far.

        Raises:
            FileNotFoundError: when the folder holds no run.
        """
        folder = Path(path)
        if not (folder / "metrics.jsonl").is_file():
            raise FileNotFoundError(f"{folder} holds no run (no metrics.jsonl); give a run's folder, such as runs/digits-1")
        events = list(_lines(folder / "metrics.jsonl"))
        recipe = folder / "recipe.toml"
        return cls(
            folder,
            _json(folder / "status.json"),
            dotted(tomllib.loads(recipe.read_text(encoding="utf-8"))) if recipe.is_file() else {},
            dotted(_starts(folder / "env.json")[-1]),
            tuple({k: v for k, v in x.items() if k != "event"} for x in events if x["event"] == "evaluated"),
            tuple(x for x in events if x["event"] == "update" and "skipped" not in x),
            tuple(Reading.from_json(x) for x in _lines(folder / "inspection.jsonl")),
            tuple(sorted(x for x in folder.iterdir() if x.suffix in {".png", ".svg"})),
        )


def dotted(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten tables: {"a": {"b": 1}} is {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _starts(path: Path) -> list[dict[str, Any]]:
    """One entry per start or resume, the last one last; an empty one where nothing is known."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else [{}]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a file; a killed run may have cut the last one."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        if line.endswith("}"):
            yield json.loads(line)
