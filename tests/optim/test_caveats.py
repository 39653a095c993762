"""What is told about refusals is what happens; every unverified law says so wherever it is used."""

import pytest
import torch

from danlu import optim
from danlu.optim.catalog import PIECES
from danlu.optim.caveats import inside, refusals, unverified
from danlu.optim.roster import PRESETS

CLOSURE = "step() without a closure, which is called again beside the parameters"
LOSS = "step() without loss=... or a closure"
SCALE = "a composition without a moment of g² or |g|"


def error_of(act):
    """The message of the ValueError that an act ends in, or ""."""
    try:
        act()
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_step_is_refused_as_told(name):
    p = torch.nn.Parameter(torch.ones(2, 3))
    p.grad = torch.ones(2, 3)
    told = refusals(inside(optim.preset(name)()))
    refused = error_of(optim.create(name, [p]).step)
    assert any(line.startswith(CLOSURE) for line in told) == ("call step(closure)" in refused)
    assert any(line.startswith(LOSS) for line in told) == ("call step(loss=" in refused)


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_composition_is_refused_as_told(name):
    rule = optim.preset(name)()
    plain = {key: optim.moment.Ema(0.9) for key in rule.moments}
    told = any(line.startswith(SCALE) for line in refusals(inside(rule)))
    assert told == bool(error_of(lambda: rule.but(moments=plain, store=optim.store.Dense())))


def test_each_refusal_names_the_pieces_behind_it():
    rule = optim.dadapt_adam().but(rate=(optim.rate.DAdapt(), optim.rate.LossLinear()), around=optim.around.Sam())
    assert refusals(inside(rule)) == [
        f"{CLOSURE} (around.sam)",
        f"{SCALE} (rate.dadapt, direction.ratio)",
        "a composition that does not keep exp_avg_sq (rate.dadapt)",
        f"{LOSS} (rate.loss_linear)",
    ]
    assert not refusals(inside(optim.sgd()))


def test_pieces_inside_pieces_count():
    rule = optim.sgd().but(after_lr=(optim.modify.Smooth(optim.moment.Ema(0.9)),))
    assert [kind.__name__ for kind in inside(rule)] == ["Plain", "Smooth", "L2", "Ema"]


def test_a_rule_is_as_unverified_as_its_pieces():
    assert unverified(optim.adamw, optim.adamw()) == []
    own, inherited = unverified(optim.adalo, optim.adalo())
    assert own == optim.adalo.unverified
    assert inherited == f"rate.loss_adversarial: {PIECES['rate'].get('loss_adversarial').unverified}"
    changed = optim.adamw().but(direction=optim.direction.Atan2())
    assert unverified(optim.adamw, changed) == [f"direction.atan2: {PIECES['direction'].get('atan2').unverified}"]


def test_explain_has_a_section_for_each():
    text = optim.explain("adamw+loss_compliant")
    assert f"\n\nrefuses\n    {LOSS} (rate.loss_compliant)\n    {SCALE} (direction.ratio)\n\n" in text
    assert f"\n\nunverified\n    rate.loss_compliant: {PIECES['rate'].get('loss_compliant').unverified}\n\n" in text
    verified = optim.explain("sgd")
    assert "\nrefuses\n" not in verified
    assert "\nunverified\n" not in verified
