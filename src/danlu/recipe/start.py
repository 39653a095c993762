"""Starting a run from weights that another one has trained."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from torch import nn

from danlu.registry import did_you_mean
from danlu.train import LoadReport, RunDirectory, load_weights

__all__ = ["begin_from"]


def begin_from(model: nn.Module, source: str, fresh: Sequence[str] = ()) -> LoadReport:
    """Fill a model from a run's folder, whose judged weights are taken, or from a file.

    Args:
        model: freshly initialised; what is not filled stays so, such as a head with other shapes.
        source: a folder with ``model.safetensors``, or a file as in `danlu.train.load_weights`.
        fresh: globs over names that are not filled although they fit, such as a head whose classes mean something else.

    Returns:
        What was loaded and what was not.

    Raises:
        FileNotFoundError: when there are no weights.
        ValueError: when no name fits, or a glob fits no parameter.
    """
    names = list(model.state_dict())
    for glob in fresh:
        if not any(fnmatchcase(name, glob) for name in names):
            raise ValueError(f"fresh: no parameter is called {glob!r}{did_you_mean(glob, names)}")
    path = Path(source)
    if path.is_dir():
        path /= RunDirectory.WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"weights_from: {source} holds no weights: there is no {path}")

    def kept(name: str) -> str | None:
        return None if any(fnmatchcase(name, glob) for glob in fresh) else name

    return load_weights(model, path, rename=kept, skip_mismatch=True)
