"""What ``danlu train`` says before and after a run."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator

from danlu.recipe import Run
from danlu.task import TASKS
from danlu.train import Result, at_average
from danlu.train.events import Row

__all__ = ["before", "summary"]


def before(run: Run) -> str:
    """Say in two lines what is going to be trained, and how."""
    recipe = run.recipe
    count = sum(p.numel() for p in run.parts.model.parameters())
    batch = f"batch {recipe.batch}" + (f" × {recipe.accumulate}" if recipe.accumulate > 1 else "")
    how = f"{recipe.optimizer.name} at lr {recipe.optimizer.lr:g}, {recipe.schedule.name}, seed {recipe.seed}"
    length = _many(recipe.until, "update") if isinstance(recipe.until, int) else recipe.until
    return f"{recipe.task}: {recipe.model}, {count:,} parameters\n{length}, {batch}, {how}"


def summary(run: Run, result: Result) -> str:
    """Say what came of a run: the held-out numbers, what the model does, where it is, and what to try next."""
    return "\n".join(_lines(run, result))


def _lines(run: Run, result: Result) -> Iterator[str]:
    item = TASKS.get(run.recipe.task).item
    if result.final:
        yield ""
        yield _headline(result.final, item)
        yield ""
        yield from _table({"best loss": result.best, "final": result.final})
    yield ""
    yield f"time        {result.seconds:.1f} s, {_many(result.steps, 'update')}, {_many(run.threads, 'thread')}"
    yield f"run folder  {result.path}"
    yield f"again       danlu train --recipe {result.path}/recipe.toml"
    yield f"next        {_next(run)}"
    if result.interrupted:
        yield ""
        yield "interrupted: the weights in the folder are those of the last update"
        yield f"go on       danlu resume {result.path}"
        return
    yield ""
    with at_average(run.trainer.optimizer):  # what the held-out numbers and the weights in the folder are of
        yield run.parts.after(run.parts.model.eval())


def _many(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def _headline(row: Row, item: str) -> str:
    """The numbers that a run is judged by; the loss is a cross-entropy, so in nats, and in bits over log 2."""
    accuracy = f"test accuracy {row['valid/accuracy']:.2%}, " if "valid/accuracy" in row else ""
    loss = row["valid/loss"]
    return f"{accuracy}test loss {loss:.4f} nats ({loss / math.log(2):.4f} bits) per {item}"


def _table(rows: dict[str, Row]) -> Iterator[str]:
    names = {"epoch": "epoch", "train/loss": "train loss"}
    names |= {key: key.replace("valid/", "test ").replace("_", " ") for row in rows.values() for key in row if "valid/" in key}
    shown = {key: name for key, name in names.items() if any(key in row for row in rows.values())}
    wide = {key: max(15, len(name) + 2) for key, name in shown.items()}
    yield f"{'':10}" + "".join(f"{name:>{wide[key]}}" for key, name in shown.items())
    for label, row in rows.items():
        yield f"{label:10}" + "".join(f"{_cell(key, row):>{wide[key]}}" for key in shown)


def _cell(key: str, row: Row) -> str:
    forms = {"epoch": ".4g", "valid/accuracy": ".2%"}
    return format(row[key], forms.get(key, ".4f")) if key in row else ""


def _next(run: Run) -> str:
    """A command worth trying: the task's next model, or what its optimizer does."""
    models = list(TASKS.get(run.recipe.task).models)
    other = models[(models.index(run.recipe.model) + 1) % len(models)]
    if other != run.recipe.model:
        return f"danlu train {run.recipe.task} --set model={other}"
    return f"danlu explain {shlex.quote(run.recipe.optimizer.name)}"
