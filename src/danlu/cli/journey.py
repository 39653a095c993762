"""``danlu plot run``: where the weights of a run went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from danlu.cli.errors import fail, reported
from danlu.cli.paths import folder_or_file, new_file
from danlu.recipe import RecipeError, load
from danlu.surface import Plane, plane_picture, principal_plane
from danlu.task import TASKS, Parts
from danlu.train import Checkpoints, DamagedError, RunDirectory, Snapshot

__all__ = ["journey"]

_MARGIN = 0.25  # of the path's extent, around it


def journey(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", parser=folder_or_file("RUN"), help="A folder of danlu train with --keep-every.")
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", parser=new_file("--out", ".png", ".svg", ".pdf"), help="FILE.png, FILE.svg or FILE.pdf."),
    ],
    side: Annotated[int, typer.Option(min=4, max=200, help="Points of the loss along each side of the picture.")] = 24,
) -> None:
    """Draw a run's path and the held-out loss on the plane in which its checkpoints lie best. Needs the extra plot."""
    with reported(RecipeError, DamagedError, ImportError, ValueError, OSError):
        recipe = load(run / "recipe.toml")
        parts = TASKS.get(recipe.task).build(recipe.model, batch=recipe.batch, seed=recipe.seed, augment=recipe.augment)
        folders = Checkpoints(run / RunDirectory.CHECKPOINTS).all()[::-1]
        if len(folders) < 3:
            fail([f"{run} keeps {len(folders)} checkpoints, a path needs 3; train with --keep-every, such as 1ep"])
        snapshots = [Snapshot.read(folder) for folder in folders]
        trained = [name for name, _ in parts.model.named_parameters()]
        path = [{name: s.weights[name] for name in trained if name in s.weights} for s in snapshots]
        parts.model.load_state_dict(dict(snapshots[-1].weights), strict=False)  # tied weights are stored once; buffers stay
        plane, points = principal_plane(path)
        grid = _loss_on(parts, plane, points, side)
        plane_picture(out, grid, points, f"{run.name}: held-out loss", label=f"{len(path)} checkpoints")
    away = sum((path[0][name] - path[-1][name]).double().square().sum() for name in path[-1])
    share = (points[0].square().sum() / away).item() if away else 1.0
    typer.echo(f"the plane holds {share:.1%} of the squared distance from the first checkpoint to the last")
    typer.echo(f"picture in {out}")


@torch.no_grad()
def _loss_on(parts: Parts, plane: Plane, points: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The mean loss over the first batch of the held-out data, on a grid around the points."""
    low, high = points.aminmax(dim=0)
    margin = _MARGIN * (high - low).clamp_min(1e-12).max()
    x, y = (torch.linspace(*(low[i] - margin, high[i] + margin), side, dtype=torch.float64) for i in (0, 1))
    batch = next(parts.test.epoch(0))
    parts.model.eval()

    def loss(point: Tensor) -> Tensor:
        parts.model.load_state_dict({name: w[0] for name, w in plane.at(point[None]).items()}, strict=False)
        return parts.loss(parts.model, batch).mean.double()

    rows = [torch.stack([loss(torch.stack([a, b])) for a in x]) for b in y]
    return x, y, torch.stack(rows)
