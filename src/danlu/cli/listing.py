"""``danlu list``: what there is."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from danlu.cli.errors import reported
from danlu.optim.catalog import PIECES, PRESETS
from danlu.registry import Registry, UnknownNameError
from danlu.schedule import SCHEDULES
from danlu.task import TASKS, Task

__all__ = ["listing", "task_lines"]

Rows = Callable[[], Iterator[dict[str, Any]]]


def listing(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="optimizers, schedules, pieces or tasks.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for programs.")] = False,
) -> None:
    """List optimizers, schedules, pieces or tasks."""
    with reported(UnknownNameError):
        rows = list(_KINDS.get(kind)())
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    wide = max(len(row["name"]) for row in rows)
    for row in rows:
        typer.echo(f"{row['name']:<{wide}}  {row['summary']}")


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
        yield {"name": name, "summary": found.summary, "source": found.source, "lr": found.lr, "options": options}


def _schedules() -> Iterator[dict[str, Any]]:
    for name in SCHEDULES:
        shape = SCHEDULES.get(name)
        defaults = {key: p.default for key, p in inspect.signature(shape).parameters.items()}
        yield {"name": name, "summary": (inspect.getdoc(shape) or "").split("\n", 1)[0], "options": defaults}


def _pieces() -> Iterator[dict[str, Any]]:
    for axis in sorted(PIECES):
        for name in PIECES[axis]:
            found = PIECES[axis].get(name)
            yield {"name": f"{axis}.{name}", "summary": found.summary, "source": found.source}


def _tasks() -> Iterator[dict[str, Any]]:
    for name in TASKS:
        found = TASKS.get(name)
        yield {"name": name, "summary": found.summary, "model": found.model, "models": list(found.models)}


_KINDS: Registry[Rows] = Registry("kind of list")
_KINDS.add("optimizers", _optimizers)
_KINDS.add("schedules", _schedules)
_KINDS.add("pieces", _pieces)
_KINDS.add("tasks", _tasks)
