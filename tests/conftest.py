"""What every test finds: no kernel that an earlier run of the tests left on disk."""

import os
from pathlib import Path

import pytest

from danlu.optim.run import cache


@pytest.fixture(autouse=True)
def nothing_was_built_before(monkeypatch):
    """``compile="auto"`` goes by what earlier processes built, and compiled steps differ from eager ones in last bits."""
    monkeypatch.setattr(cache, "_folder", lambda: Path(os.devnull) / "none")
