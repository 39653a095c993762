"""Groups and what may change between steps: options, learning rates, who has a gradient."""

import pytest
import torch
from torch import nn

from danlu import optim
from danlu.optim.named import Named
from tests.optim.stepping import (
    ALONE,
    CLIMBING,
    GRADIENTS,
    PRESETS,
    advance,
    agree,
    gradients,
    make,
    parameters,
    same,
    snapshot,
    start,
)


def test_groups_have_their_own_options():
    together, apart = start([(4,), (4,)]), start([(4,), (4,)])
    groups = [{"params": [together[0]], "lr": 0.1}, {"params": [together[1]], "weight_decay": 0.5, "betas": (0.5, 0.9)}]
    rows = gradients(together, 4)
    moved = advance(make("adamw", groups), rows)
    first = advance(make("adamw", apart[:1], lr=0.1), [row[:1] for row in rows])
    second = advance(make("adamw", apart[1:], weight_decay=0.5, betas=(0.5, 0.9)), [row[1:] for row in rows])
    assert same(moved, first + second)


def test_a_group_added_later_starts_at_its_own_first_step():
    params, twin = start([(4,), (4,)]), start([(4,), (4,)])
    rows = gradients(params, 5)
    optimizer = make("adamw", params[:1])
    advance(optimizer, [row[:1] for row in rows[:2]])
    optimizer.add_param_group({"params": params[1], "lr": 0.2})
    moved = advance(optimizer, rows[2:])
    assert same(moved[0], advance(make("adamw", twin[:1]), [row[:1] for row in rows])[0])
    assert same(moved[1], advance(make("adamw", twin[1:], lr=0.2), [row[1:] for row in rows[2:]])[0])
    assert [optimizer.state[p]["step"] for p in params] == [5, 3]


@pytest.mark.parametrize("name", [name for name in GRADIENTS if not name.startswith("momo")])  # which counts the group's steps
def test_a_group_added_later_goes_on_from_the_numbers_of_all_tensors(name):
    """As a tensor does whose first gradient comes later: an estimate over all tensors is one, whatever groups there are."""
    walks = []
    for late in (False, True):
        params = start([(4,), (4,)])
        optimizer = make(name, params[:1] if late else params)
        rows = gradients(params, 8)
        advance(optimizer, [row[:1] if late else [row[0], None] for row in rows[:4]])
        if late:
            optimizer.add_param_group({"params": params[1:]})
        walks.append(advance(optimizer, rows[4:]))
        assert [optimizer.state[p].get("step") for p in params] == [8, 4]
    assert agree(name, *walks)


def test_a_group_keeps_its_rule_when_one_before_it_is_taken_out():
    other = Named(optim.preset("nadam"))  # its options are those of adamw, and so are their values
    results = []
    for gone in (False, True):
        params = start([(4,), (4,)])
        rows = gradients(params, 4)
        optimizer = make("adamw", [{"params": params[:1]}, {"params": params[1:], "rule": other, "lr": 0.1}])
        for group in optimizer.param_groups:
            group.update(betas=(0.9, 0.99), eps=1e-6, weight_decay=0.0)
        advance(optimizer, rows[:2])
        if gone:
            del optimizer.param_groups[0]
        advance(optimizer, [row[1:] if gone else row for row in rows[2:]])
        results.append([params[1].detach(), optimizer.state[params[1]]])
    assert results[0][1].keys() == results[1][1].keys()
    assert torch.equal(results[0][0], results[1][0])


@pytest.mark.parametrize("name", ALONE)
def test_steps_are_counted_per_tensor(name):
    params, twins = start([(4,), (4,)]), start([(4,), (4,)])
    rows = gradients(params, 6)
    missing = [[row[0], None if k in {0, 1, 3} else row[1]] for k, row in enumerate(rows)]
    optimizer = make(name, params)
    moved = advance(optimizer, missing)
    assert same(moved[1], advance(make(name, twins[1:]), [[row[1]] for row in (rows[2], rows[4], rows[5])])[0])
    assert [optimizer.state[p]["step"] for p in params] == [6, 3]


@pytest.mark.parametrize("name", PRESETS)
def test_parameters_without_gradients_are_left_alone(name):
    params = start()
    params[1].requires_grad_(False)
    optimizer = make(name, params)
    before = snapshot(optimizer)
    advance(optimizer, [[None, None, None]] * 2)
    assert same(snapshot(optimizer), before)
    advance(optimizer, [[torch.ones(3, 4).double(), None, None]])
    assert same(snapshot(optimizer)[1:], before[1:])


def test_a_tied_parameter_of_a_module_steps_once():
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 3, bias=False))
    model[1].weight = model[0].weight
    optimizer = optim.SGD(model, lr=1.0)
    model(torch.tensor([0, 1])).sum().backward()
    want = model[0].weight.detach() - model[0].weight.grad
    optimizer.step()
    assert torch.equal(model[0].weight.detach(), want)
    assert optimizer.param_groups[0]["param_names"] == ["0.weight"]


def test_a_frozen_part_of_a_module_is_left_out():
    model = nn.Linear(2, 3)
    model.bias.requires_grad_(False)
    assert optim.AdamW(model).param_groups[0]["param_names"] == ["weight"]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("adamw", {"weight_decay": 0.5}),
        ("adamw", {"betas": (0.5, 0.9)}),
        ("adamw", {"betas": [0.5, 0.9]}),
        ("adamw", {"eps": 0.1}),
        ("adamw", {"maximize": True}),
        ("adamw", {"lr": 0.05}),
        ("rmsprop", {"alpha": 0.5}),
        ("sgd", {"momentum": 0.2}),
    ],
    ids=str,
)
def test_what_is_written_takes_effect_at_the_next_step(name, changes):
    """A walk of an optimizer that had the values from the start, continued from the same state."""
    params = start()
    optimizer, rows = make(name, params), gradients(params, 4)
    advance(optimizer, rows[:3])
    twin = make(name, [nn.Parameter(p.detach().clone()) for p in params], **changes)
    for p, q in zip(params, parameters(twin), strict=True):
        twin.state[q] = {key: torch.clone(x) if isinstance(x, torch.Tensor) else x for key, x in optimizer.state[p].items()}
    optimizer.param_groups[0].update(changes)
    unchanged = advance(make(name, start()), rows)
    moved = advance(optimizer, rows[3:])
    assert same(moved, advance(twin, rows[3:]))
    assert not same(moved, unchanged)


def test_momentum_switched_on_grows_its_buffer_as_in_torch():
    theirs, ours = torch.optim.SGD(start(), lr=0.01), make("sgd", start(), momentum=0.0, dampening=0.0, weight_decay=0.0)
    rows = gradients(parameters(ours), 6)
    for optimizer in (theirs, ours):
        advance(optimizer, rows[:3])
        optimizer.param_groups[0]["momentum"] = 0.9
    for a, b in zip(advance(theirs, rows[3:]), advance(ours, rows[3:]), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def test_a_bad_value_is_refused_at_the_next_step_and_nothing_moves():
    params = start()
    optimizer, rows = make("adamw", [{"params": params[:1]}, {"params": params[1:]}]), gradients(params, 3)
    advance(optimizer, rows[:1])
    before, group = snapshot(optimizer), optimizer.param_groups[1]
    for key, bad, line in [
        ("betas", (0.9, 1.0), "adamw: betas[1] must be in [0, 1), got 1.0"),
        ("weight_decay", -0.1, "adamw: weight_decay must be in [0, inf), got -0.1"),
        ("lr", float("nan"), "adamw: lr must be in [0, inf), got nan"),
        ("eps", "1e-8", "adamw: eps must be a number in (0, inf), got '1e-8'"),
    ]:
        good, group[key] = group[key], bad
        with pytest.raises(ValueError) as raised:
            advance(optimizer, rows[1:])
        assert str(raised.value) == line
        group[key] = good
    assert same(snapshot(optimizer), before)


@pytest.mark.parametrize("name", PRESETS)
def test_an_lr_tensor_is_read_at_every_step(name):
    lr = torch.tensor(0.01, dtype=torch.float64)
    with_tensor, with_number = make(name, start(), lr=lr), make(name, start(), lr=0.01)
    rows = gradients(parameters(with_tensor), 6)
    assert same(advance(with_tensor, rows[:3]), advance(with_number, rows[:3]))
    lr.fill_(0.3)
    with_number.param_groups[0]["lr"] = 0.3
    assert same(advance(with_tensor, rows[3:]), advance(with_number, rows[3:]))
    assert with_tensor.param_groups[0]["lr"] is lr


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"sgd_velocity"}))
def test_an_lr_of_zero_moves_the_state_only(name):
    optimizer = make(name, start(), lr=0.0)
    before = [p.detach().clone() for p in parameters(optimizer)]
    assert same(advance(optimizer, gradients(before, 3)), before)
    assert optimizer.state[parameters(optimizer)[0]]["step"] == 3


@pytest.mark.parametrize("name", CLIMBING)
def test_maximizing_is_minimizing_the_negative(name):
    up, down = make(name, start(), maximize=True), make(name, start())
    rows = gradients(parameters(up), 3)
    assert same(advance(up, rows), advance(down, [[-g for g in row] for row in rows]))
