"""Optimizers by name: pieces by name, and one clear line for everything that is not one."""

import pytest
import torch

from danlu import optim
from danlu.optim import decay, direction, grad, moment, store


def make(name="adamw", **options):
    return optim.create(name, [torch.nn.Parameter(torch.ones(3))], **options)


def test_pieces_may_be_given_as_themselves_by_name_or_as_a_table():
    wanted = optim.adamw().but(direction=direction.Sign(), grad=(grad.ClipNorm(2.0),), decay=decay.Constant(1e-4))
    table = {"name": "clip_norm", "max_norm": 2.0}
    constant = {"name": "constant", "rate": 1e-4}
    assert make(direction="sign", grad=table, decay=constant).rule() == wanted
    assert make(direction=direction.Sign(), grad=[grad.ClipNorm(2.0)], decay=decay.Constant(1e-4)).rule() == wanted
    assert make(decay=None).rule() == optim.adamw().but(decay=None)
    stored = make(store={"exp_avg": {"name": "dense", "dtype": torch.float64}}).rule().codecs
    assert stored == {"exp_avg": store.Dense(torch.float64), "exp_avg_sq": store.Dense()}


def test_the_presets_own_lr_is_the_default():
    assert make("lion").param_groups[0]["lr"] == optim.preset("lion").lr
    assert make("lion", lr=0.5).param_groups[0]["lr"] == 0.5


def test_replaced_moments_take_their_keys():
    optimizer = make(moments={"m": moment.Ema(0.9), "v": moment.Ema(0.99, moment.square)})
    p = optimizer.param_groups[0]["params"][0]
    p.grad = torch.ones(3)
    optimizer.step()
    assert set(optimizer.state[p]) == {"step", "m", "v"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"direction": "sgn"}, ValueError, "no direction piece 'sgn'; did you mean 'sign'?"),
        ({"direction": []}, TypeError, "direction: needs a piece, its name, or a table with its name and options, got []"),
        ({"direction": None}, TypeError, "direction: needs a piece, its name, or a table with its name and options, got None"),
        ({"moments": None}, TypeError, "moments: needs a table of state keys and pieces, got None"),
        ({"grad": [3]}, TypeError, "grad: needs a piece, its name, or a table with its name and options, got 3"),
        ({"grad": {"max_norm": 1.0}}, TypeError, "grad: needs a piece, its name, or a table"),
        ({"grad": {"name": "clip_norm", "max_nrm": 1}}, TypeError, "grad.clip_norm: no option 'max_nrm'; did you mean"),
        ({"grad": {"name": "clip_norm", "max_norm": 0}}, ValueError, "grad.ClipNorm: max_norm must be in (0, inf), got 0"),
        ({"store": {"exp_av": "dense"}}, ValueError, "store: no slot 'exp_av'; did you mean 'exp_avg'"),
        ({"weight_deacy": 0.1}, TypeError, "adamw: no option 'weight_deacy'; did you mean 'weight_decay'?"),
        ({"decay": None, "weight_decay": 0.3}, ValueError, "adamw: weight_decay=0.3 has no effect beside decay; give"),
    ],
)  # fmt: skip
def test_what_names_no_piece_is_one_clear_line(options, error, message):
    with pytest.raises(error) as caught:
        make(**options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
