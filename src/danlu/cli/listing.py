"""``danlu list``: what there is."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from math import inf
from typing import Annotated, Any

import typer

from danlu.cli.errors import fail, reported
from danlu.data import AUGMENTATIONS
from danlu.docstrings import first_line
from danlu.layers import LAYERS
from danlu.loss import LOSSES
from danlu.optim.catalog import PIECES
from danlu.optim.caveats import unverified
from danlu.optim.explain import bytes_per_parameter
from danlu.optim.roster import PRESETS
from danlu.registry import Registry, UnknownNameError, did_you_mean
from danlu.schedule import SCHEDULES
from danlu.task import TASKS, Task

__all__ = ["listing", "task_lines"]

Rows = Callable[[], Iterator[dict[str, Any]]]

_NEEDS = ("grad", "loss", "closure")


def listing(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="optimizers, schedules, losses, layers, augmentations, pieces, tasks.")
    ],
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Only names like this, such as 'ada*'.")] = "*",
    axis: Annotated[str, typer.Option("--axis", help="Only pieces of this axis, such as decay.")] = "",
    need: Annotated[str, typer.Option("--needs", help="Only optimizers that need this: grad, loss or closure.")] = "",
    most: Annotated[float, typer.Option("--max-bytes", help="Only optimizers with at most so many bytes per parameter.")] = inf,
    unsure: Annotated[bool, typer.Option("--unverified", help="Only what no independent source confirmed, and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for programs.")] = False,
) -> None:
    """List optimizers, schedules, losses, layers, augmentations, pieces or tasks."""
    with reported(UnknownNameError):
        if axis and axis not in PIECES:
            raise UnknownNameError(f"--axis {axis}: no such axis{did_you_mean(axis, PIECES)}")
        if need and need not in _NEEDS:
            raise UnknownNameError(f"--needs {need}: nothing is needed by that name{did_you_mean(need, _NEEDS)}")
        rows = [row for row in _KINDS.get(kind)() if fnmatchcase(row["name"].rpartition(".")[2], pattern)]
    rows = [row for row in rows if not axis or row.get("axis") == axis]
    rows = [row for row in rows if (not need or need in row.get("needs", ())) and row.get("bytes", 0.0) <= most]
    rows = [row for row in rows if not unsure or row.get("unverified")]
    if not rows:
        fail([f"no {kind} like that; see danlu list {kind}"])
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    wide = max(len(row["name"]) for row in rows)
    for row in rows:
        reasons = row.get("unverified", ())
        told = " ".join(reasons) if unsure else f"{row['summary']}  (unverified)" if reasons else row["summary"]
        typer.echo(f"{row['name']:<{wide}}  {told}")


def task_lines(task: Task) -> list[str]:
    """Describe a task: its data, its models, and how each is trained."""
    lines = [f"{task.name}: {task.summary}", "", "models"]
    for name in sorted(task.models, key=lambda name: (name != task.model, name)):
        choice = task.models.get(name)
        how = choice.defaults
        training = f"{how.until}, batch {how.batch}, {how.optimizer['name']} at lr {how.optimizer['lr']:g}"
        lines += [f"    {name}{' (default)' if name == task.model else ''}: {choice.summary}; {training}"]
    return lines


def _optimizers() -> Iterator[dict[str, Any]]:
    for name in PRESETS:
        found = PRESETS.get(name)
        options = {key: default for key, (_, default) in found.options.items()}
        rule = found()
        yield {
            "name": name,
            "summary": found.summary,
            "source": found.source,
            "lr": found.lr,
            "options": options,
            "bytes": bytes_per_parameter(rule),
            "needs": sorted(rule.needs),
            "unverified": unverified(found, rule),
        }


def _schedules() -> Iterator[dict[str, Any]]:
    for name in SCHEDULES:
        shape = SCHEDULES.get(name)
        defaults = {key: p.default for key, p in inspect.signature(shape).parameters.items()}
        yield {"name": name, "summary": (inspect.getdoc(shape) or "").split("\n", 1)[0], "options": defaults}


def _losses() -> Iterator[dict[str, Any]]:
    for name in LOSSES:
        found = LOSSES.get(name)
        yield {
            "name": name,
            "summary": found.summary,
            "source": found.source,
            "coupled": found.coupled,
            "stateful": found.stateful,
            "unverified": [found.unverified] if found.unverified else [],
        }


def _layers() -> Iterator[dict[str, Any]]:
    for name in LAYERS:
        yield {"name": name, "summary": first_line(LAYERS.get(name))}


def _augmentations() -> Iterator[dict[str, Any]]:
    for name in AUGMENTATIONS:
        found = AUGMENTATIONS.get(name)
        defaults = {key: found.defaults.get(key) for key in found.options}
        yield {"name": name, "summary": found.summary, "source": found.source, "kind": found.kind, "options": defaults}


def _pieces() -> Iterator[dict[str, Any]]:
    for axis in sorted(PIECES):
        for name in PIECES[axis]:
            found = PIECES[axis].get(name)
            yield {
                "name": f"{axis}.{name}",
                "axis": axis,
                "summary": found.summary,
                "source": found.source,
                "unverified": [found.unverified] if found.unverified else [],
            }


def _tasks() -> Iterator[dict[str, Any]]:
    for name in TASKS:
        found = TASKS.get(name)
        yield {"name": name, "summary": found.summary, "model": found.model, "models": list(found.models)}


_KINDS: Registry[Rows] = Registry("kind of list")
_KINDS.add("optimizers", _optimizers)
_KINDS.add("schedules", _schedules)
_KINDS.add("losses", _losses)
_KINDS.add("layers", _layers)
_KINDS.add("augmentations", _augmentations)
_KINDS.add("pieces", _pieces)
_KINDS.add("tasks", _tasks)
