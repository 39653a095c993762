"""What every test finds: no kernel that an earlier run of the tests left on disk."""

import os
from pathlib import Path

import pytest

from danlu.optim.run import cache


@pytest.fixture(autouse=True, scope="session")
def nothing_was_built_before():
    """``compile="auto"`` goes by what earlier processes built, and compiled steps differ from eager ones in last bits.

    For the session, because the first fixture of a module that makes an optimizer would look before a test's own could hide it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "_folder", lambda: Path(os.devnull) / "none")
        yield
