"""State goes from torch.optim to us and back, and both walk on together."""

import pytest
import torch
from torch import nn

from danlu import optim
from tests.optim import stepping
from tests.optim.stepping import gradients, parameters, start

pytestmark = pytest.mark.filterwarnings("ignore:load_state_dict. state is matched by position:UserWarning")
CASES = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "maximize": True}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.9), "amsgrad": True}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.01, "betas": (0.8, 0.9), "amsgrad": True, "maximize": True}),
    ("RMSprop", {"lr": 0.01, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9, "centered": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1}),
    ("Adamax", {"lr": 0.01, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.01, "momentum_decay": 0.1}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.01, "betas": (0.9, 0.95)}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
]
HOW = [{"foreach": False}, {"foreach": True}, {"fused": True}]
FUSED = ("SGD", "Adam", "AdamW", "Adagrad")
RUNS = [(*case, how) for case in CASES for how in HOW if "fused" not in how or case[0] in FUSED]


@pytest.fixture(autouse=True)
def float64():
    """torch keeps NAdam's product of momenta in the default dtype; in float32 it is 1e-10 away by itself."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def advance(optimizer, rows):
    """On copies: torch's foreach SGD adds Nesterov's momentum to the gradients themselves."""
    return stepping.advance(optimizer, [[g.clone() for g in row] for row in rows])


def copies(optimizer):
    return [nn.Parameter(p.detach().clone()) for p in parameters(optimizer)]


def apart(ours, theirs):
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("name", "options", "how"), RUNS, ids=str)
def test_both_ways(name, options, how):
    source, made = getattr(torch.optim, name)(start(), **options, **how), getattr(optim, name)
    rows = gradients(parameters(source), 20)
    advance(source, rows[:7])

    ours = made(copies(source), lr=9.0)
    ours.load_state_dict(source.state_dict())
    fresh = made(copies(source), **options)
    moved = advance(source, rows[7:12])
    assert apart(advance(fresh, rows[7:12]), moved) > 1e-4
    assert apart(advance(ours, rows[7:12]), moved) < 1e-10
    assert ours.param_groups[0]["lr"] == options["lr"]

    theirs = type(source)(copies(ours), lr=9.0, **how)
    theirs.load_state_dict(ours.state_dict())
    assert apart(advance(theirs, rows[12:17]), advance(ours, rows[12:17])) < 1e-10

    again = made(copies(theirs), lr=9.0)
    again.load_state_dict(theirs.state_dict())
    assert apart(advance(again, rows[17:]), advance(theirs, rows[17:])) < 1e-10


@pytest.mark.parametrize("name", ["Adam", "Adagrad", "Adamax", "RMSprop"])
def test_complex_state(name):
    z = nn.Parameter(torch.ones(3, dtype=torch.complex128))
    options = {"initial_accumulator_value": 0.1} if name == "Adagrad" else {}
    source = getattr(torch.optim, name)([z], lr=0.01, **options)
    rows = gradients([z], 6)
    advance(source, rows[:3])
    ours, beside = (getattr(optim, name)(copies(source), lr=0.01, **options) for _ in range(2))
    ours.load_state_dict(source.state_dict())
    assert apart(advance(ours, rows[3:]), advance(source, rows[3:])) < 1e-10
    begun = getattr(torch.optim, name)(copies(beside), lr=0.01, **options)
    assert apart(advance(beside, rows), advance(begun, rows)) < 1e-10


def test_sgd_without_a_buffer():
    source = torch.optim.SGD(start(), lr=0.1)
    rows = gradients(parameters(source), 4)
    advance(source, rows[:2])
    ours = optim.SGD(copies(source), lr=9.0)
    ours.load_state_dict(source.state_dict())
    assert apart(advance(ours, rows[2:]), advance(source, rows[2:])) < 1e-12


def test_names_are_kept_both_ways():
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    source = torch.optim.AdamW(model.named_parameters())
    advance(source, gradients(parameters(source), 2))
    ours = optim.AdamW([("bias", other.bias), ("weight", other.weight)])
    ours.load_state_dict(source.state_dict())
    assert torch.equal(ours.state[other.weight]["exp_avg"], source.state[model.weight]["exp_avg"])
    back = torch.optim.AdamW(model.named_parameters())
    back.load_state_dict(optim.AdamW(model).state_dict())
    assert back.param_groups[0]["param_names"] == ["weight", "bias"]


def test_only_torchs_ways_of_running_are_left_out():
    source = torch.optim.AdamW(start(), lr=0.1)
    source.param_groups[0]["initial_lr"] = 0.3
    ours = optim.AdamW(start())
    known = set(ours.param_groups[0])
    ours.load_state_dict(source.state_dict())
    assert set(ours.param_groups[0]) == known | {"initial_lr"}


def test_an_lr_tensor_stays_a_tensor_and_a_number_becomes_what_was_saved():
    source = torch.optim.AdamW(start(), lr=torch.tensor(0.25), foreach=False)
    saved = source.state_dict()
    with_tensor, with_number = optim.AdamW(start(), lr=torch.tensor(0.5)), optim.AdamW(start(), lr=0.5)
    for ours in (with_tensor, with_number):
        ours.load_state_dict(saved)
        source.param_groups[0]["lr"].fill_(0.25)
        assert float(ours.param_groups[0]["lr"]) == 0.25
        assert ours.param_groups[0]["lr"] is not saved["param_groups"][0]["lr"]
    with_tensor.load_state_dict(optim.AdamW(start(), lr=0.125).state_dict())
    assert torch.equal(with_tensor.param_groups[0]["lr"], torch.tensor(0.125))


def test_another_rules_state_is_refused():
    source = torch.optim.Adam([("w", nn.Parameter(torch.ones(2)))], amsgrad=True)
    advance(source, [[torch.ones(2)]])
    lion = optim.Lion([("w", nn.Parameter(torch.ones(2)))])
    with pytest.raises(ValueError, match=r"the state of w has 'exp_avg_sq', which this rule does not keep"):
        lion.load_state_dict(source.state_dict())
