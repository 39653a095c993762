from pathlib import Path

import numpy as np
import pytest

from .launching import here, launched

FOLDER = Path(__file__).parents[1] / "golden"


@pytest.fixture
def golden():
    """Open golden data by the file's name without its ending."""

    def read(name):
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
            return dict(file)

    return read


@pytest.fixture
def launch(tmp_path, monkeypatch, request):
    """Run a function in two new processes, which have to find its file by the name that pytest gave it."""
    monkeypatch.syspath_prepend(here(request.path, request.module.__name__))
    return lambda work: launched(work, tmp_path / "store")
