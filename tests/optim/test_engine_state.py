"""Snapshots and copies: what is taken from an optimizer stands alone and goes on bit for bit."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from danlu import optim
from tests.optim.stepping import CLIMBING, PRESETS, advance, gradients, make, parameters, same, snapshot, start

by_position = pytest.mark.filterwarnings("ignore:load_state_dict. state is matched by position:UserWarning")


@pytest.mark.parametrize("name", PRESETS)
def test_a_snapshot_holds_torchs_format_and_does_not_change(name):
    optimizer = make(name, start(), lr=torch.tensor(0.01))
    rows = gradients(parameters(optimizer), 5)
    advance(optimizer, rows[:3])
    state = optimizer.state_dict()
    kept = copy.deepcopy(state)
    assert set(state) == {"state", "param_groups"}
    assert [entry["step"] for entry in state["state"].values()] == [3, 3, 3]
    assert state["param_groups"][0]["params"] == [0, 1, 2]
    optimizer.param_groups[0]["lr"].fill_(0.5)
    advance(optimizer, rows[3:])
    assert same(state, kept)


@by_position
@pytest.mark.parametrize("name", PRESETS)
def test_loading_copies(name):
    params = start()
    optimizer, rows = make(name, params), gradients(params, 6)
    advance(optimizer, rows[:3])
    state = optimizer.state_dict()
    kept, later = copy.deepcopy(state), make(name, [nn.Parameter(p.detach().clone()) for p in params])
    later.load_state_dict(state)
    later.param_groups[0]["lr"] = 0.5
    advance(later, rows[3:])
    assert same(state, kept)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("carry", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies_go_on_bit_for_bit_and_alone(name, carry):
    params = start()
    optimizer, rows = make(name, params, maximize=name in CLIMBING), gradients(params, 6)
    advance(optimizer, rows[:3])
    other = carry(optimizer)
    assert type(other) is type(optimizer)
    assert other.param_groups[0]["params"][0] is not params[0]
    before = snapshot(optimizer)
    moved = advance(other, rows[3:])
    assert same(snapshot(optimizer), before)
    assert same(moved, advance(optimizer, rows[3:]))
    assert repr(other) == repr(optimizer)


def test_a_copy_of_model_and_optimizer_keeps_them_together():
    model = nn.Linear(3, 2)
    optimizer = optim.AdamW(model)
    optimizer.skipped = 4
    model2, optimizer2 = copy.deepcopy((model, optimizer))
    assert optimizer2.param_groups[0]["params"][0] is model2.weight
    assert optimizer2.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer2.skipped == 4


@by_position
@pytest.mark.parametrize("name", PRESETS)
def test_a_snapshot_survives_a_file_without_pickled_code(name):
    params = start()
    optimizer, rows = make(name, params), gradients(params, 5)
    advance(optimizer, rows[:3])
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    later = make(name, [nn.Parameter(p.detach().clone()) for p in params])
    later.load_state_dict(torch.load(file, weights_only=True))
    assert same(advance(later, rows[3:]), advance(optimizer, rows[3:]))


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("shape", [(2048,), (8192,), (64, 64)])
def test_a_parameter_of_another_shape_than_its_state_is_refused(shape, compile):
    """A kernel trusts the state's shape: it wrote beyond the state of a parameter that had grown."""
    [p] = start([(4096,)], torch.float32)
    optimizer = make("adamw", [p], store="int8", compile=compile)
    advance(optimizer, [[torch.ones(4096)]])
    p.grad = None
    p.data = torch.ones(shape)
    p.grad = torch.ones(shape)
    with pytest.raises(RuntimeError, match=r"adamw: 'exp_avg.code' of a parameter has shape \(4096,\), .* delete"):
        optimizer.step()
    assert bool((p == 1).all())
    del optimizer.state[p]
    optimizer.step()
    assert optimizer.state[p]["step"] == 1
    assert bool((p < 1).all())
