"""Read golden files, walk optimizers over fixed gradients, measure the distance."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.golden.cases import Case

__all__ = ["Gradients", "Tensors", "Track", "descend", "distance", "gap", "load", "tracks"]

Tensors = dict[str, NDArray[np.float64]]
Gradients = Sequence[Any] | NDArray[np.float64] | Callable[[int, NDArray[np.float64]], NDArray[np.float64]]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Track:
    """Fixed gradients (steps, *shape) by tensor name, and where they led: row i is p after update `updates[i]`."""

    name: str
    p0: Tensors
    grads: Tensors
    updates: list[int]
    kept: Tensors

    def distance(self, paths: Mapping[str, list[NDArray[np.float64]]]) -> float:
        """How far `paths` (p after every update, by tensor name) go from the kept rows."""
        return gap({n: [path[t - 1] for t in self.updates] for n, path in paths.items()}, self.kept)


def load(file: str) -> tuple[dict, Tensors]:
    """One file: its `meta` and its arrays."""
    with np.load(HERE / file) as z:
        return json.loads(str(z["meta"])), {key: z[key] for key in z.files if key != "meta"}


def tracks(case: Case) -> Iterable[Track]:
    """The tracks of one case, with the tensors that its file has.

    The two families differ only in their keys, and in a row 0 that holds the start.
    """
    meta, arrays = load(case.file)
    if case.file.startswith("A_"):
        _, inputs = load("A__problems.npz")
        start, grads, params, first = "init/{}", "grads/{}/{}", "params/{}/{}", 0
    else:
        _, inputs = load("B__problem.npz")
        start, grads, params, first = "p0_{}", "g_{}_{}", "{}__p_{}", 1
    known = [key.removeprefix(start.format("")) for key in inputs if key.startswith(start.format(""))]
    for track in case.tracks:
        names = [n for n in known if params.format(track, n) in arrays]
        assert names, f"{case.file} has no track {track!r}"
        yield Track(
            track,
            p0={n: inputs[start.format(n)] for n in names},
            grads={n: inputs[grads.format(track, n)] for n in names},
            updates=meta["kept_steps"][first:],
            kept={n: arrays[params.format(track, n)][first:] for n in names},
        )


def descend(
    make: Callable[[dict[str, torch.nn.Parameter]], torch.optim.Optimizer],
    p0: Mapping[str, NDArray[np.float64]],
    grads: Mapping[str, Gradients],
    lrs: Iterable[float],
    losses: Sequence[float] = (),
) -> dict[str, list[NDArray[np.float64]]]:
    """Walk the optimizer that `make` builds from float64 parameters; every group's lr is set before each update.

    Step k is given ``losses[k]`` when there are any. The gradients of a tensor are a sequence over the updates (None: no
    gradient), or a function of update and value.
    """
    params = {name: torch.nn.Parameter(torch.tensor(p, dtype=torch.float64)) for name, p in p0.items()}
    optimizer = make(params)
    paths = {name: [] for name in params}
    for k, lr in enumerate(lrs):
        for group in optimizer.param_groups:
            group["lr"] = lr
        for name, p in params.items():
            given = grads[name]
            g = given(k, p.detach().numpy().copy()) if callable(given) else given[k]
            p.grad = None if g is None else torch.tensor(g, dtype=torch.float64)
        optimizer.step(**({"loss": float(losses[k])} if len(losses) else {}))
        for name, p in params.items():
            paths[name].append(p.detach().numpy().copy())
    return paths


def distance(got: NDArray[np.float64], want: NDArray[np.float64]) -> float:
    """Return max |got − want| / max(1, |want|); a value that is not finite where it should be is infinitely far."""
    apart = np.abs(np.asarray(got) - want) / np.maximum(1.0, np.abs(want))
    return float(np.max(np.where(np.isnan(apart), np.inf, apart)))


def gap(paths: Mapping[str, Iterable], others: Mapping[str, Iterable]) -> float:
    """The largest distance between two walks, over all tensors and updates; both must hold the same ones."""
    assert paths.keys() == others.keys()
    return max(distance(a, b) for name in paths for a, b in zip(paths[name], others[name], strict=True))
