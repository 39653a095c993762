"""``danlu ensemble`` and ``danlu average``: what several runs are worth together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, final

import torch
import typer
from torch import Tensor, nn

from danlu.cli.errors import fail, reported
from danlu.cli.paths import folder_or_file, new_file
from danlu.data import TensorLoader
from danlu.recipe import Recipe, RecipeError, load
from danlu.task import TASKS, Parts
from danlu.train import Ensemble, Row, RunDirectory, evaluate, greedy_soup, load_weights, read_weights, soup
from danlu.train.durable import replaced
from danlu.train.snapshots import SNAPSHOTS
from danlu.train.tensor_files import write_tensors

__all__ = ["average", "ensemble"]

Runs = Annotated[list[Path], typer.Argument(metavar="RUN", parser=folder_or_file("RUN"), help="Folders of runs of one task.")]


@final
@dataclass(frozen=True)
class _Member:
    """A model that a run has left: its weights, and what they belong to."""

    name: str
    weights: Path
    parts: Parts


def ensemble(
    runs: Runs,
    reduce: Annotated[Literal["probability", "logit"], typer.Option(help="What is averaged.")] = "probability",
) -> None:
    """Evaluate runs, and the ensemble of their predictions, on the held-out data; of a run with snapshots, these are taken."""
    with reported(RecipeError, ImportError, OSError, ValueError):
        members = _all_members(runs)
        data = _common(members)
        rows = {member.name: _judged(member.parts.model, member, data) for member in members}
        if len(members) < 2:
            raise ValueError("an ensemble needs two models; give more runs, or one with --set snapshots=5")
        if any("valid/accuracy" not in row for row in rows.values()):
            raise ValueError("an ensemble averages the predictions of classifiers, which this task does not train")
        together = _judged(Ensemble([member.parts.model for member in members], reduce), members[0], data)
    mean = {key: sum(row[key] for row in rows.values()) / len(rows) for key in together}
    _table({**rows, "mean of these": mean, "ensemble": together})
    typer.echo("")
    typer.echo(f"gain over their mean: {_gain(together, mean)}")
    best = max(rows.values(), key=lambda row: row["valid/accuracy"])
    typer.echo(f"gain over the best:   {_gain(together, best)}, the best picked by these same data")


def average(
    runs: Runs,
    greedy: Annotated[bool, typer.Option("--greedy", help="Write the greedy soup, not that of all.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", parser=new_file("--out"), help="Write the averaged weights, as safetensors.")
    ] = None,
) -> None:
    """Average the weights of runs that started from the same weights, all of them and greedily, and evaluate both.

    The greedy soup is chosen on one half of the held-out data; all numbers are of the other half.
    """
    with reported(RecipeError, ImportError, OSError, ValueError):
        members = _all_members(runs)
        data = _common(members)
        chosen_on, told_on = (_part(data, i) for i in (0, 1))
        weights = [read_weights(member.weights) for member in members]
        model = members[0].parts.model
        rows = {member.name: _judged(member.parts.model, member, told_on) for member in members}

        def score(each: Mapping[str, Tensor]) -> float:
            load_weights(model, each)
            return -_judged(model, members[0], chosen_on)["valid/loss"]

        soups = {"soup of all": soup(weights)}
        soups["greedy soup"], taken = greedy_soup(weights, score)
        for name, each in soups.items():
            load_weights(model, each)
            rows[name] = _judged(model, members[0], told_on)
        _table(rows)
        typer.echo(f"\ngreedy: {', '.join(members[i].name for i in taken)}")
        if out is not None:
            tensors = soups["greedy soup" if greedy else "soup of all"]
            replaced(out, lambda path: write_tensors(tensors, path))
            typer.echo(f"{out}: {'greedy soup' if greedy else 'soup of all'}")


def _all_members(runs: Sequence[Path]) -> list[_Member]:
    seen: set[Path] = set()
    for run in runs:
        if run.resolve() in seen:
            raise ValueError(f"{run} is given twice; a run counts once")
        seen.add(run.resolve())
    return [member for run in runs for member in _members(run)]


def _members(run: Path) -> list[_Member]:
    if not (run / "recipe.toml").is_file():
        fail([f"{run} holds no run of danlu train: there is no {run / 'recipe.toml'}"])
    recipe = load(run / "recipe.toml")
    snapshots = sorted((run / SNAPSHOTS).glob("*.safetensors"), key=lambda path: int(path.stem))
    if not snapshots:
        return [_member(str(run), run / RunDirectory.WEIGHTS, recipe)]
    return [_member(f"{run} {path.stem}", path, recipe) for path in snapshots]


def _member(name: str, weights: Path, recipe: Recipe) -> _Member:
    parts = TASKS.get(recipe.task).build(recipe.model, batch=recipe.batch, seed=recipe.seed)
    load_weights(parts.model, weights)
    return _Member(name, weights, parts)


def _common(members: Sequence[_Member]) -> TensorLoader:
    """The held-out data, which must be those of all."""
    first = members[0].parts.test
    for member in members[1:]:
        tensors = member.parts.test.tensors
        same = len(tensors) == len(first.tensors) and all(map(torch.equal, tensors, first.tensors))
        if not same:
            raise ValueError(f"{members[0].name} and {member.name} have other held-out data; give runs of one task")
    return first


def _part(data: TensorLoader, which: int) -> TensorLoader:
    """Every second held-out item."""
    return TensorLoader(*(x[which::2] for x in data.tensors), batch=data.batch, shuffle=False)


def _judged(model: nn.Module, member: _Member, data: TensorLoader) -> Row:
    return evaluate(model, member.parts.loss, data)


def _gain(row: Row, over: Row) -> str:
    accuracy = row["valid/accuracy"] - over["valid/accuracy"]
    return f"{100 * accuracy:+.2f} points of accuracy, loss {row['valid/loss'] - over['valid/loss']:+.4f}"


def _table(rows: Mapping[str, Row]) -> None:
    wide = max(map(len, rows))
    typer.echo(f"{'':{wide}}  test loss  test accuracy")
    for name, row in rows.items():
        accuracy = f"{row['valid/accuracy']:>13.2%}" if "valid/accuracy" in row else ""
        typer.echo(f"{name:{wide}}  {row['valid/loss']:>9.4f}  {accuracy}".rstrip())
