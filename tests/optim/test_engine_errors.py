"""Errors: what, where and the fix in one line, before anything has changed."""

import math

import pytest
import torch
from torch import nn

from danlu import optim
from danlu.registry import UnknownNameError
from tests.optim.stepping import PRESETS, advance, gradients, make, parameters, same, snapshot, start


def said(make_error, kind=ValueError):
    with pytest.raises(kind) as raised:
        make_error()
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("AdamW", {"lr": -1.0}, "adamw: lr must be in [0, inf), got -1.0"),
        ("AdamW", {"lr": math.nan}, "adamw: lr must be in [0, inf), got nan"),
        ("AdamW", {"lr": math.inf}, "adamw: lr must be in [0, inf), got inf"),
        ("AdamW", {"lr": "0.1"}, "adamw: lr must be a number in [0, inf), got '0.1'"),
        ("AdamW", {"lr": True}, "adamw: lr must be a number in [0, inf), got True"),
        ("AdamW", {"betas": (0.9, 1.0)}, "adamw: betas[1] must be in [0, 1), got 1.0"),
        ("AdamW", {"betas": (-0.1, 0.9)}, "adamw: betas[0] must be in [0, 1), got -0.1"),
        ("AdamW", {"betas": (0.9, math.nan)}, "adamw: betas[1] must be in [0, 1), got nan"),
        ("AdamW", {"betas": 0.9}, "adamw: betas must be 2 numbers, got 0.9"),
        ("AdamW", {"betas": (0.9, 0.99, 0.999)}, "adamw: betas must be 2 numbers, got (0.9, 0.99, 0.999)"),
        ("AdamW", {"eps": 0.0}, "adamw: eps must be in (0, inf), got 0.0"),
        ("AdamW", {"eps": math.nan}, "adamw: eps must be in (0, inf), got nan"),
        ("AdamW", {"weight_decay": -0.1}, "adamw: weight_decay must be in [0, inf), got -0.1"),
        ("AdamW", {"amsgrad": 1}, "adamw: amsgrad must be True or False, got 1"),
        ("AdamW", {"capturable": True}, "adamw: leave capturable False: optim.graphed records steps in CUDA graphs"),
        ("AdamW", {"differentiable": True}, "adamw: differentiable=True is not offered; leave it False"),
        ("SGD", {"momentum": 1.0}, "sgd: momentum must be in [0, 1), got 1.0"),
        ("SGD", {"nesterov": True}, "sgd: nesterov needs momentum in (0, 1) and dampening 0, got 0.0 and 0.0"),
        ("RMSprop", {"nesterov": True}, "rmsprop: nesterov needs momentum in (0, 1), got 0.0"),
        ("RMSprop", {"lr_inside": True}, "rmsprop: lr_inside needs momentum in (0, 1), got 0.0"),
        ("RAdam", {"betas": (0.9, 0.5)}, "radam: betas[1] must be in (0.6, 1), got 0.5"),
        ("NAdam", {"momentum_decay": -1.0}, "nadam: momentum_decay must be in [0, inf], got -1.0"),
    ],
    ids=str,
)
def test_values_out_of_range(name, options, line):
    assert said(lambda: getattr(optim, name)(start(), **options)) == line
    options = {key: value for key, value in options.items() if key not in {"capturable", "differentiable"}}
    if options:
        assert said(lambda: getattr(optim, name)([{"params": start(), **options}])) == line


def test_several_values_out_of_range_have_a_line_each():
    lines = "adamw: betas[0] must be in [0, 1), got 2.0\nadamw: eps must be in (0, inf), got -1.0"
    assert said(lambda: optim.AdamW(start(), betas=(2.0, 0.9), eps=-1.0)) == lines


@pytest.mark.parametrize("name", ["adamw", "rmsprop", "adagrad", "nadam", "adamax", "lamb", "sm3", "adabelief"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_an_eps_that_is_0_in_float32_is_refused(name, dtype):
    """A coordinate without a gradient would be 0/0."""
    weight = nn.Parameter(torch.ones(3, dtype=dtype))
    line = said(lambda: optim.create(name, [("weight", weight)], eps=1e-50))
    assert line.startswith(f"{name}: eps = 1e-50 (")
    assert line.endswith(f"is 0 in the arithmetic of weight, which is {dtype}: give at least 1.2e-38, or make it float64")
    optimizer = optim.create(name, [weight])
    optimizer.param_groups[0]["eps"] = 1e-50
    weight.grad = torch.zeros_like(weight)
    assert "is 0 in the arithmetic of parameter 0" in said(optimizer.step)
    assert (weight == 1.0).all()


@pytest.mark.parametrize(("dtype", "eps"), [(torch.float64, 1e-50), (torch.float32, 2e-38)], ids=str)
def test_the_least_eps_keeps_what_has_no_gradient(dtype, eps):
    weight = nn.Parameter(torch.ones(3, dtype=dtype))
    weight.grad = torch.zeros_like(weight)
    optim.create("adam", [weight], eps=eps).step()
    assert (weight == 1.0).all()


@pytest.mark.parametrize("name", ["adamw", "adabelief", "amsgrad", "nadam", "lamb"])
def test_a_second_moment_with_the_shorter_memory_is_said_once(name):
    """m fades as β₁ᵗ and √v as √β₂ᵗ: their ratio grows."""
    groups = [{"params": params} for params in zip(start())]
    with pytest.warns(UserWarning, match=rf"{name}: betas 0.999 and 0.9: .* at least 0.998") as said_so:
        optimizer = make(name, groups, betas=(0.999, 0.9))
    assert len(said_so) == 1
    optimizer.param_groups[0]["betas"] = (0.99, 0.9)  # as a scheduler cycles them; a warning is an error here
    advance(optimizer, gradients(parameters(optimizer), 1))


def test_misspelt_options():
    line = "adamw: no option 'weight_dacay'; did you mean 'weight_decay'?"
    assert said(lambda: optim.AdamW(start(), weight_dacay=0.1), TypeError) == line
    assert said(lambda: make("adamw", start(), weight_dacay=0.1), TypeError) == line
    line = "adamw: no group option 'weight_dacay'; did you mean 'weight_decay'?"
    assert said(lambda: optim.AdamW([{"params": start(), "weight_dacay": 0.1}]), TypeError) == line
    line = "adamw: takes 4 arguments after lr (betas, eps, weight_decay, amsgrad), got 5"
    assert said(lambda: optim.AdamW(start(), 1e-3, (0.9, 0.99), 1e-8, 0.1, False, True), TypeError) == line
    assert said(lambda: optim.AdamW(start(), 1e-3, (0.9, 0.9), betas=(0.9, 0.9)), TypeError) == "adamw: betas is given twice"


def test_group_keys_of_the_users_own_are_kept():
    optimizer = optim.AdamW([{"params": start(), "name": "all", "layer": 3}])
    assert optimizer.param_groups[0]["name"] == "all"
    assert optimizer.param_groups[0]["layer"] == 3


def test_unknown_names():
    assert said(lambda: optim.create("adamv", start()), UnknownNameError).startswith("no optimizer 'adamv'; did you mean 'adam")
    clip = [{"name": "clip_nrom", "max_norm": 1.0}]
    wrong = said(lambda: make("adamw", start(), grad=clip), UnknownNameError)
    assert wrong.startswith("no grad piece 'clip_nrom'; did you mean 'clip_norm'")
    assert said(lambda: make("adamw", start(), grad=[{"name": "clip_norm", "max_nrom": 1.0}]), TypeError) == (
        "grad.clip_norm: no option 'max_nrom'; did you mean 'max_norm'?"
    )


def test_parameters():
    empty = "adamw: the parameter list is empty (a generator that was already used up?)"
    assert said(lambda: optim.AdamW([])) == empty
    model = nn.Linear(2, 2)
    used = model.parameters()
    list(used)
    assert said(lambda: optim.AdamW(used)) == empty
    assert said(lambda: optim.AdamW(model.requires_grad_(False))) == "adamw: the module has no trainable parameters"
    line = "adamw: params must be a module, or an iterable of parameters or groups, got Parameter"
    assert said(lambda: optim.AdamW(model.weight), TypeError) == line
    assert said(lambda: optim.AdamW(model.state_dict()), TypeError) == line.replace("Parameter", "OrderedDict")
    [p] = start([(3,)])
    assert said(lambda: optim.AdamW([p, p])) == "adamw: a parameter is given twice in one group; pass each one once"
    assert "more than one parameter group" in said(lambda: optim.AdamW([{"params": [p]}, {"params": [p]}]))
    assert "non-leaf" in said(lambda: optim.AdamW([p * 2]))


def test_a_group_that_is_refused_is_not_added():
    optimizer = optim.AdamW(start())
    for bad in ({"lr": -1.0}, {"betas": (0.9, 1.0)}):
        said(lambda bad=bad: optimizer.add_param_group({"params": start([(2,)]), **bad}))
    said(lambda: optimizer.add_param_group({"params": start([(2,)]), "epps": 1.0}), TypeError)
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": start([(2,)])})
    assert len(optimizer.param_groups) == 2


@pytest.mark.parametrize("name", PRESETS)
def test_a_sparse_gradient_is_refused_before_anything_changes(name):
    params = start([(3,), (4, 2)])
    optimizer = make(name, [("w", params[0]), ("table", params[1])])
    rows = gradients(params, 2)
    advance(optimizer, rows[:1])
    before = snapshot(optimizer)
    sparse = torch.eye(4, 2, dtype=torch.float64).to_sparse()
    line = said(lambda: advance(optimizer, [[rows[1][0], sparse]]))
    assert line == f"{name}: the gradient of table is sparse; make it dense (sparse=False)"
    assert same(snapshot(optimizer), before)
    fresh = make(name, start([(3,), (4, 2)]))
    assert "parameter 1 is sparse" in said(lambda: advance(fresh, [[rows[1][0], sparse]]))
    assert not fresh.state


def test_a_step_leaves_autograd_as_it_was():
    optimizer = make("adamw", params := start([(4, 2)]))
    advance(optimizer, gradients(params, 1))
    assert torch.is_grad_enabled()
    assert all(not state[key].requires_grad for state in optimizer.state.values() for key in ("exp_avg", "exp_avg_sq"))
    said(lambda: advance(optimizer, [[torch.eye(4, 2, dtype=torch.float64).to_sparse()]]))
    assert torch.is_grad_enabled()
    with torch.no_grad():
        advance(optimizer, gradients(params, 1))
        assert not torch.is_grad_enabled()


def test_an_lr_tensor_holds_one_number():
    assert said(lambda: optim.AdamW(start(), lr=torch.ones(2))).startswith(
        "adamw: lr must be a number in [0, inf), got tensor("
    )
    assert said(lambda: optim.AdamW(start(), lr=torch.tensor(-1.0))) == "adamw: lr must be in [0, inf), got tensor(-1.)"
