from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "golden"


@pytest.fixture
def golden():
    """Open golden data by the file's name without its ending."""

    def read(name):
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
            return dict(file)

    return read
