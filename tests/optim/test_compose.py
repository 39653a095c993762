"""Compositions as text."""

import pytest
import torch

from danlu import optim
from danlu.optim import decay, direction, grad, modify, moment
from danlu.optim.compose import compose


def rule_of(text, **options):
    named = compose(text, **options)
    return named.build(named.options)


def test_pieces_are_added_to_chains_and_replace_single_slots():
    assert rule_of("adamw") == optim.adamw()
    assert rule_of("adamw+clip_norm(max_norm=2.0)+clip_value(upper=1)") == optim.adamw().but(
        grad=(grad.ClipNorm(2.0), grad.ClipValue(1))
    )
    assert rule_of("adamw + direction.sign + constant(rate=1e-4)") == optim.adamw().but(
        direction=direction.Sign(), decay=decay.Constant(1e-4)
    )
    assert rule_of("radam+clip_norm(max_norm=2.0)").modify == optim.radam().modify


def test_a_preset_takes_options_in_the_text_and_beside_it():
    assert rule_of("adamw(betas=(0.8, 0.9), weight_decay=0.0)", eps=1e-6) == optim.adamw((0.8, 0.9), 1e-6, 0.0)


def test_create_and_explain_read_compositions():
    p = torch.nn.Parameter(torch.ones(2))
    optimizer = optim.create("sgd+clip_value(upper=0.5)", [p], lr=1.0)
    p.grad = torch.tensor([3.0, 0.25])
    optimizer.step()
    assert p.tolist() == [0.5, 0.75]
    text = optim.explain("sgd+clip_value(upper=0.5)")
    assert "grad.0" in text
    assert "grad.clip_value: " in text


def test_a_modify_piece_can_stand_after_lr():
    smooth = modify.Smooth(moment.HeavyBall(0.9))
    assert rule_of("sgd").but(after_lr=(smooth,)) == optim.sgd_velocity()
    with pytest.raises(TypeError, match=r"modify.smooth: needs moment, as in smooth\(moment=...\)"):
        rule_of("sgd+after_lr.smooth")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adamv", "no optimizer 'adamv'; did you mean"),
        ("adamw+clip_nrm", "no piece 'clip_nrm'; did you mean 'clip_norm'"),
        ("adamw+clip_norm", r"grad.clip_norm: needs max_norm, as in clip_norm\(max_norm=...\)"),
        ("adamw+clip_norm(1.0)", r"clip_norm: options are written name\(option=value\), got 'clip_norm\(1.0\)'"),
        ("adamw+clip_norm(max_norm=", r"clip_norm: options are written name\(option=value\)"),
        ("adamw+clip_norm(max_norm=-1)", r"grad.ClipNorm: max_norm must be in \(0, inf\), got -1"),
        ("adamw+grad.sign", "no grad piece 'sign'"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(text, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        compose(text)
    assert "\n" not in str(caught.value)
