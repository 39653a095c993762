"""What is wrong with a recipe: all of it, one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from pydantic import BaseModel, ValidationError

from danlu import ranges
from danlu.data import AUGMENTATIONS
from danlu.data.augmentation import create as augmentation
from danlu.loss import LOSSES
from danlu.loss import create as loss
from danlu.optim import create
from danlu.optim.compose import compose
from danlu.optim.rule import SLOTS
from danlu.recipe.recipe import EarlyStopPart, FreezePart, OptimizerPart, Recipe, SchedulePart
from danlu.registry import UnknownNameError, did_you_mean
from danlu.schedule import SCHEDULES
from danlu.schedule import create as schedule
from danlu.task import TASKS

__all__ = ["Problem", "RecipeError", "problems"]


_LISTS, _TABLES = {"grad", "modify", "after_lr", "rate"}, {"moments", "store"}  # as `danlu.optim.create` takes them
_PIECES = "optimizer.{} must be the name of a piece, a table with a name, or several where the rule has several, got {}"


@final
@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, as the path of a key, and a line that says what is allowed there."""

    key: tuple[str, ...]
    text: str


class RecipeError(ValueError):
    """A recipe that cannot be run; `lines` has one for everything that is wrong with it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def problems(values: Mapping[str, Any]) -> list[Problem]:
    """Find everything that is wrong with the values of a recipe.

    Args:
        values: as TOML gives them, tables as dicts, complete: defaults are filled in already.

    Returns:
        One problem per wrong key, in the order of the recipe's keys, unknown ones last; empty when `Recipe` takes the values.
    """
    found = [
        *_structure(values),
        *_model(values),
        *_augmentations(values, "augment", "images"),
        *_augmentations(values, "mix", "pairs"),
        *_loss(values, "loss", "classes"),
        *_loss(values, "reduce", "reduction"),
        *_optimizer(values.get("optimizer")),
        *_schedule(values.get("schedule")),
    ]
    order = list(Recipe.model_fields)
    places = [problem.key[0].partition("[")[0] for problem in found]
    known = [order.index(place) if place in order else len(order) for place in places]
    return [found[i] for i in sorted(range(len(found)), key=known.__getitem__)]


def _structure(values: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        Recipe.model_validate(values)
    except ValidationError as error:
        seen: set[tuple[str, ...]] = set()  # a union reports once per member
        for entry in error.errors():
            key, owner = _locate(entry["loc"])
            if key in seen or (key == ("optimizer", "lr") and entry["type"] == "missing"):
                continue  # lr is filled in from the name, so that it is missing only where the name is wrong
            seen.add(key)
            yield Problem(key, _sentence(key, owner, entry))


def _locate(loc: tuple[int | str, ...]) -> tuple[tuple[str, ...], type[BaseModel]]:
    """The key that an error is about, without the members of unions, and the table that it belongs to."""
    first = str(loc[0])
    if first == "freeze" and len(loc) > 2:
        return (f"freeze[{loc[1]}]", str(loc[2])), FreezePart
    if first in _PARTS and len(loc) > 1:
        return (first, str(loc[1])), _PARTS[first]
    return (first,), Recipe


_PARTS: Mapping[str, type[BaseModel]] = {"optimizer": OptimizerPart, "schedule": SchedulePart, "early_stop": EarlyStopPart}


def _sentence(key: tuple[str, ...], owner: type[BaseModel], entry: Any) -> str:
    name, dotted = key[-1], ".".join(key)
    if entry["type"] == "extra_forbidden":
        near = did_you_mean(name, owner.model_fields) or f"; the keys are {', '.join(sorted(owner.model_fields))}"
        return f"{dotted}: no such key{near}"
    allowed = owner.model_fields[name].description
    if entry["type"] == "missing":
        return f"{dotted} is missing; it must be {allowed}"
    problem = entry.get("ctx", {}).get("error")
    if isinstance(problem, UnknownNameError) or (problem is not None and dotted == "optimizer.name"):
        return f"{dotted}: {' '.join(str(problem).split())}"
    return f"{dotted} must be {allowed}, got {_value(entry['input'])}"


def _value(value: Any) -> str:
    """A value as TOML writes it, as far as one line goes."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _model(values: Mapping[str, Any]) -> Iterator[Problem]:
    task, model = values.get("task"), values.get("model")
    if isinstance(task, str) and task in TASKS and isinstance(model, str) and model not in TASKS.get(task).models:
        models = TASKS.get(task).models
        yield Problem(("model",), f"model: no {models.kind} {model!r}{did_you_mean(model, models)}")


def _augmentations(values: Mapping[str, Any], key: str, kind: str) -> Iterator[Problem]:
    entries, task = values.get(key), values.get("task")
    if not (isinstance(entries, list) and all(isinstance(entry, (str, Mapping)) for entry in entries)):
        return  # the structure says so
    if entries and isinstance(task, str) and task in TASKS and not TASKS.get(task).augmentable:
        yield Problem((key,), f"{key}: task {task!r} has no images for it; leave it out, or {key} = []")
        return
    of_kind = [name for name in AUGMENTATIONS if AUGMENTATIONS.get(name).kind == kind]
    for i, entry in enumerate(entries):
        for line in _entry(entry, of_kind, f"augmentation of {kind}", augmentation):
            yield Problem((key,), f"{key}[{i}]: {line}")


def _loss(values: Mapping[str, Any], key: str, kind: str) -> Iterator[Problem]:
    entry = values.get(key, "none")
    if entry != "none" and isinstance(entry, (str, Mapping)):
        of_kind = [name for name in LOSSES if LOSSES.get(name).kind == kind]
        for line in _entry(entry, of_kind, "loss of classes" if kind == "classes" else kind, loss):
            yield Problem((key,), f"{key}: {line}")


def _entry(entry: str | Mapping[str, Any], names: list[str], what: str, make: Callable[[Any], Any]) -> Iterator[str]:
    """What is wrong with a name, or with a table that has one."""
    name = entry if isinstance(entry, str) else entry.get("name")
    if not isinstance(name, str):
        yield f"the table needs a name, such as {names[0]!r}"
    elif name not in names:
        yield f"no {what} {name!r}{did_you_mean(name, names)}"
    else:
        try:
            make(entry)
        except (TypeError, ValueError) as error:
            yield from str(error).splitlines()


def _optimizer(part: Any) -> Iterator[Problem]:
    name = part.get("name") if isinstance(part, Mapping) else None
    if not isinstance(name, str):
        return
    try:
        preset = compose(name).preset
    except (TypeError, ValueError):
        return  # the structure says so
    options = {key: value for key, value in part.items() if key not in OptimizerPart.model_fields}
    hints = {key: hint for key, (hint, _) in preset.options.items()}
    found = [
        *_unknown("optimizer", preset.name, options, [*hints, *SLOTS, "buffers", "lr"]),
        *_ranges("optimizer", preset.name, options, hints),
    ]
    found += [Problem(("optimizer", key), _PIECES.format(key, _value(x))) for key, x in options.items() if not _fits(key, x)]
    yield from found
    if not found:  # what only shows when the pieces meet
        try:
            create(name, torch.nn.Linear(1, 1), **options)
        except (TypeError, ValueError) as error:
            yield Problem(("optimizer",), f"optimizer: {' '.join(str(error).split())}")


def _fits(slot: str, value: Any) -> bool:
    """Whether a value has the form of its slot: a piece, a list of them, or a table by slot; other keys are not judged."""
    if slot not in SLOTS or (_is_piece(value) and slot != "moments"):
        return True
    if slot in _TABLES:
        return isinstance(value, Mapping) and "name" not in value and all(map(_is_piece, value.values()))
    return slot in _LISTS and isinstance(value, list) and all(map(_is_piece, value))


def _is_piece(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, Mapping) and isinstance(value.get("name"), str))


def _schedule(part: Any) -> Iterator[Problem]:
    if not (isinstance(part, Mapping) and isinstance(part.get("name"), str) and part["name"] in SCHEDULES):
        return
    name = part["name"]
    options = {key: value for key, value in part.items() if key not in SchedulePart.model_fields}
    hints = ranges.hints(SCHEDULES.get(name))
    found = [
        *_unknown("schedule", name, options, [*hints, *SchedulePart.model_fields]),
        *_ranges("schedule", name, options, hints),
    ]
    yield from found
    if not found:  # what only shows when shape and warm-up meet
        try:
            values = SchedulePart.model_validate(part).model_dump()
        except ValidationError:  # the structure says so
            return
        try:
            schedule(**values)
        except ValueError as error:
            yield Problem(("schedule", "name"), str(error))


def _unknown(table: str, name: str, options: Mapping[str, Any], known: list[str]) -> Iterator[Problem]:
    for key in options:
        if key not in known:
            near = did_you_mean(key, known) or f"; see danlu explain {name}"
            yield Problem((table, key), f"{table}.{key}: {name} has no such option{near}")


def _ranges(table: str, name: str, options: Mapping[str, Any], hints: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in options.items():
        for line in ranges.problems(name, hints, {key: value}):
            yield Problem((table, key), f"{table}.{line.removeprefix(f'{name}: ')}")
