"""Arrays from NumPy's files as tensors."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from danlu.registry import did_you_mean

__all__ = ["arrays"]


def arrays(path: str | PathLike[str], *names: str) -> tuple[Tensor, ...]:
    """Read arrays from a .npz or .npy file, in the order asked for; for ``TensorLoader(*arrays("data.npz", "x", "y"))``.

    Everything asked for is held in memory. Files with Python objects are refused, as reading them could run code.

    Args:
        path: of the file.
        *names: in a .npz, all in the file's order if there are none; a .npy has one array and no name.

    Returns:
        One tensor per array, with its dtype.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no such file, an array is of objects or of a type torch does not have, or a name is not
            in it, with the nearest ones.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"arrays: there is no file {path}")
    try:
        with _opened(path) as table:
            return _chosen(table, names)
    except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile) as problem:
        raise ValueError(f"arrays: {path}: {' '.join(str(problem).split())}") from None


@contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, Any]]:
    """The file's arrays by name; the one of a .npy has the name ""."""
    with path.open("rb") as file:  # NumPy leaves it open when it is no archive
        found = np.load(file, allow_pickle=False)
        yield {"": found} if isinstance(found, np.ndarray) else found


def _chosen(table: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Tensor, ...]:
    for name in names:
        if name not in table:
            other = "; there is one, without a name" if list(table) == [""] else did_you_mean(name, table)
            raise ValueError(f"there is no array {name!r}{other}")
    return tuple(torch.from_numpy(np.ascontiguousarray(table[name])) for name in names or table)
