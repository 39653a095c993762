"""Writing safetensors, with the errors of the disk as everybody else reports them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file, save_model
from torch import Tensor, nn

from danlu.train.unwrapped import unwrapped

__all__ = ["write_model", "write_tensors"]


def write_model(model: nn.Module, path: Path) -> None:
    """Write weights and buffers under the names of the `unwrapped` model; tied weights are stored once.

    ``safetensors.torch.load_model`` reads them.

    Raises:
        OSError: when the disk is full, say.
    """
    with _disk(path):
        save_model(unwrapped(model), str(path))


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors by name.

    Raises:
        OSError: when the disk is full, say.
    """
    with _disk(path):
        save_file(dict(tensors), str(path))


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    path.touch()
    mode = path.stat().st_mode  # as the umask has it; safetensors writes a file that only its owner may read
    try:
        yield
        path.chmod(mode)
    except SafetensorError as error:  # safetensors has one class for all, with the system's number in the text
        found = re.search(r"os error (\d+)", str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error
