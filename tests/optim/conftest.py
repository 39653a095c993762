"""Ways of running: every test of the engine over presets runs eagerly, and compiled for one of each kind that a kernel takes.

Under xdist (``make test``) a worker is a child process: a test that kills it is reported as failed, and the others go on.
"""

import pytest

from danlu.optim.run import kernel
from tests.optim import stepping

# Not by a kernel: values are looked at nowhere (meta), or the way of running is chosen by the test itself.
EAGER_ONLY = {"test_meta_tensors_step_without_values"}


@pytest.fixture(autouse=True)
def way(request, monkeypatch):
    """How `stepping.make` runs its optimizers in this test."""
    monkeypatch.setattr(stepping, "COMPILE", getattr(request, "param", "eager") == "compiled")


def pytest_generate_tests(metafunc):
    if metafunc.module.__name__.rpartition(".")[2].startswith("test_engine_") and "name" in metafunc.fixturenames:
        ways = ["eager"] if metafunc.function.__name__ in EAGER_ONLY else ["eager", "compiled"]
        metafunc.parametrize("way", ways, indirect=True)


def pytest_collection_modifyitems(items):
    """Leave out what has no kernel or one of a kind that is there; a preset's compiled tests stay in one worker."""
    for item in list(items):
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if params.get("way") == "compiled":
            item.add_marker(pytest.mark.xdist_group(params["name"]))
            if params["name"] not in stepping.COMPILED or kernel.compiler_for("cpu") is None:
                items.remove(item)
