"""Ways of running: every test of the engine over presets runs eagerly, compiled for one of each kind that a kernel takes, and
by torch's own kernels where there are any. Other tests of this folder see the laws alone, unless they ask for something else.

Under xdist (``make test``) a worker is a child process: a test that kills it is reported as failed, and the others go on.
"""

import pytest

from danlu.optim.run import kernel, runner
from tests.optim import stepping

WAYS = "eager", "compiled", "fused"
# No kernel looks at no values (meta), and torch's are for real parameters as wide as what is computed.
SOME = {
    "test_meta_tensors_step_without_values": WAYS[:1],
    "test_narrow_parameters_step_in_float32": WAYS[:2],
    "test_complex_numbers_are_pairs": WAYS[:2],
    "test_maximizing_is_minimizing_the_negative": ("eager", "fused"),  # a kernel each, of one more negation
}


@pytest.fixture(autouse=True)
def way(request, monkeypatch):
    """How `stepping.make` runs its optimizers in this test."""
    chosen = getattr(request, "param", "eager")
    monkeypatch.setattr(stepping, "COMPILE", {"eager": False, "compiled": True, "fused": "auto"}[chosen])
    if chosen != "fused":
        monkeypatch.setattr(runner, "fused_of", lambda rule: None)  # it rounds otherwise than a law with a piece that is off


def pytest_generate_tests(metafunc):
    if metafunc.module.__name__.rpartition(".")[2].startswith("test_engine_") and "name" in metafunc.fixturenames:
        metafunc.parametrize("way", SOME.get(metafunc.function.__name__, WAYS), indirect=True)


def pytest_collection_modifyitems(items):
    """Leave out what has no kernel or one of a kind that is there; a preset's compiled tests stay in one worker."""
    for item in list(items):
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if params.get("way") == "compiled":
            item.add_marker(pytest.mark.xdist_group(params["name"]))
            if params["name"] not in stepping.COMPILED or kernel.compiler_for("cpu") is None:
                items.remove(item)
        if params.get("way") == "fused" and params.get("name") not in (None, *stepping.FUSED):
            items.remove(item)
