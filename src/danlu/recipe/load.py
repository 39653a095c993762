"""From layers to a recipe: task defaults < recipe file < --set < flags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from os import PathLike
from typing import Any

from danlu.data import AUGMENTATIONS
from danlu.data.augmentation import filled
from danlu.loss import LOSSES
from danlu.loss import filled as filled_loss
from danlu.optim.compose import compose
from danlu.recipe.layers import Layer, parse_file, parse_set
from danlu.recipe.named import find_recipe
from danlu.recipe.problems import Problem, RecipeError, problems
from danlu.recipe.recipe import Recipe, SchedulePart
from danlu.registry import did_you_mean
from danlu.task import TASKS, Task

__all__ = ["load", "resolve"]

# What stays when a higher layer names another thing: a learning rate belongs to its optimizer, a warm-up to the run.
_KEPT: Mapping[str, frozenset[str]] = {
    "optimizer": frozenset(),
    "schedule": frozenset(SchedulePart.model_fields) - {"name"},
}


def load(path: str | PathLike[str] | None = None, sets: Iterable[str] = (), flags: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe from its sources and check it as a whole.

    Args:
        path: a recipe file, the name of one that comes with the library (see `recipes`), or None.
        sets: overrides such as ``optimizer.lr=3e-4``, in any order; of two for one key the later one holds.
        flags: values by key, such as ``{"task": "digits", "seed": 1}``; they hold over everything else.

    Returns:
        The recipe, complete: what nobody said is filled in from the task, the model and the optimizer.

    Raises:
        RecipeError: with one line per thing that is wrong, each naming the source; all of them at once.
    """
    lines: list[str] = []

    def read(parse: Callable[[Any], Layer], sources: Iterable[Any]) -> Iterator[Layer]:
        for source in sources:
            try:
                yield parse(source)
            except RecipeError as error:
                lines.extend(error.lines)

    files = list(read(lambda name: parse_file(find_recipe(name)), () if path is None else (path,)))
    overrides = list(read(parse_set, sets))
    flag = Layer("", dict(flags or {}))
    layers = [*files, *overrides, flag]
    if lines and not any(layer.has(("task",)) for layer in layers):
        raise RecipeError(lines)  # the task was perhaps in what could not be read
    together = reduce(_joined, (layer.values for layer in overrides), {})  # so that their order does not matter
    values, found = resolve([*files, Layer("--set", together), flag])
    lines += [_line(problem, layers) for problem in found]
    if lines:
        raise RecipeError(lines)
    return Recipe.model_validate(values)


def resolve(layers: Sequence[Layer]) -> tuple[dict[str, Any], list[Problem]]:
    """Put layers together, later ones over earlier ones, on the defaults of the task and model that they name.

    Args:
        layers: the sources, the one that holds over the others last.

    Returns:
        The values of the recipe, and what is wrong with them.
    """
    said: dict[str, Any] = reduce(_joined, (layer.values for layer in layers), {})
    task, model = said.get("task"), said.get("model")
    if task is None:
        return said, [Problem(("task",), f"task is missing{did_you_mean('', TASKS)}")]
    if not (isinstance(task, str) and task in TASKS):  # what else is missing would have come with the task
        return said, [problem for problem in problems(said) if problem.key[0] in said]
    base = _defaults(TASKS.get(task), model)
    values = reduce(_over, (layer.values for layer in layers), base)
    values["optimizer"] = _filled(values["optimizer"])
    values |= {key: _listed(values[key]) for key in ("augment", "mix")}
    values |= {key: _loss(values[key]) for key in ("loss", "reduce") if key in values}
    return values, problems(values)


def _defaults(task: Task, model: Any) -> dict[str, Any]:
    """What the task says of a model, or of its own choice where the name is none."""
    name = model if isinstance(model, str) and model in task.models else task.model
    found = task.models.get(name).defaults
    clip = "none" if found.clip is None else found.clip
    plain = {"model": name, "until": found.until, "batch": found.batch, "accumulate": 1, "seed": 0, "clip": clip}
    plain |= {"threads": found.threads, "augment": list(found.augment), "mix": []}
    return {**plain, "optimizer": dict(found.optimizer), "schedule": dict(found.schedule)}


def _joined(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, tables key by key."""
    tables = {k: _joined(below[k], x) for k, x in above.items() if isinstance(x, Mapping) and isinstance(below.get(k), Mapping)}
    return {**below, **above, **tables}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`; where it names another optimizer or schedule, little of the old one stays."""
    below = dict(below)
    for key, kept in _KEPT.items():
        old, new = below.get(key), above.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and new.get("name", old.get("name")) != old.get("name"):
            below[key] = {k: x for k, x in old.items() if k in kept}
    return _joined(below, above)


def _filled(optimizer: Any) -> Any:
    """The table with every argument of the preset, so that a later version's defaults don't change what it means."""
    name = optimizer.get("name") if isinstance(optimizer, Mapping) else None
    if not isinstance(name, str):
        return optimizer
    try:
        named = compose(name)
    except (TypeError, ValueError):  # which is told with all else that is wrong
        return optimizer
    options = {key: value for key, value in named.options.items() if value is not None}
    full = {"name": name, "lr": named.preset.lr, **options, **optimizer}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in full.items()}


def _listed(entries: Any) -> Any:
    """The augmentations with every argument, likewise."""
    if not isinstance(entries, list):
        return entries
    names = [entry.get("name") if isinstance(entry, Mapping) else entry for entry in entries]
    known = [isinstance(name, str) and name in AUGMENTATIONS for name in names]
    return [filled(entry) if is_known else entry for entry, is_known in zip(entries, known, strict=True)]


def _loss(entry: Any) -> Any:
    """The loss or reduction with every number, likewise."""
    name = entry.get("name") if isinstance(entry, Mapping) else entry
    return filled_loss(entry) if isinstance(name, str) and name in LOSSES else entry


def _line(problem: Problem, layers: Sequence[Layer]) -> str:
    """The problem's line, with the source that the value came from; flags and defaults need none."""
    said = next((layer.label for layer in reversed(layers) if layer.has(problem.key)), "")
    return f"{said}: {problem.text}" if said else problem.text
