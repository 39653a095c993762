"""torch's kernels in place of the laws: where they are taken, and that they are the same rule."""

import pytest
import torch

from danlu import optim
from danlu.optim import average, decay, grad, moment, rate
from danlu.optim.fused import fused_of
from danlu.optim.run import runner
from tests.optim.stepping import FUSED, advance, gradients, lanes, make, start

SHAPES = ((40, 30), (7,), (), (5, 3, 3, 2))
OPTIONS = {
    "adam": [{}, {"betas": (0.7, 0.9)}, {"eps": 0.1}, {"weight_decay": 0.3}, {"amsgrad": True}, {"maximize": True}],
    "adamw": [{}, {"betas": (0.7, 0.9)}, {"eps": 0.1}, {"weight_decay": 0.3}, {"amsgrad": True}, {"maximize": True}],
    "sgd": [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.5, "dampening": 0.5},
        {"weight_decay": 0.3},
        {"maximize": True},
    ],
}
THEIRS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
EACH = [(name, options) for name, rows in OPTIONS.items() for options in rows]
served = pytest.mark.parametrize("way", ["fused"], indirect=True)


def step(optimizer, params, steps=12):
    for k, row in enumerate(gradients(params, steps)):
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + k)
        advance(optimizer, [row])
    return [p.detach() for p in params]


def gap(xs, ys):
    return max(float((x - y).abs().max()) for x, y in zip(xs, ys, strict=True))


@served
@pytest.mark.parametrize(("name", "options"), EACH, ids=str)
def test_they_agree_with_the_law_and_are_torch_s(way, name, options):
    ours, law, theirs = (start(SHAPES) for _ in range(3))
    optimizer = optim.create(name, ours, **options)
    got = step(optimizer, ours)
    assert {lane.fused for lane in lanes(optimizer).values()} == {fused_of(optimizer.rule())}
    assert gap(got, step(optim.create(name, law, compile=False, **options), law)) <= 1e-13
    defaults = {} if name == "sgd" else {"weight_decay": optim.preset(name)().decay.rate}
    assert gap(got, step(THEIRS[name](theirs, fused=True, **{"lr": 1e-3, **defaults, **options}), theirs)) == 0.0


@served
@pytest.mark.parametrize(("name", "options"), [(name, options) for name, options in EACH if options], ids=str)
def test_every_knob_moves_the_trace(way, name, options):
    plain, turned = start(SHAPES), start(SHAPES)
    assert gap(step(optim.create(name, plain), plain), step(optim.create(name, turned, **options), turned)) >= 1e-5


def test_they_are_taken_for_what_they_are_alone():
    assert FUSED == ["adam", "adamw", "sgd"]
    rule = optim.adamw()
    assert fused_of(rule) is not None
    assert fused_of(rule.but(rate=rate.LinearDecay(9), average=average.Swa())) is not None
    others = [
        rule.but(grad=grad.ClipNorm(1.0)),
        rule.but(decay=decay.Cautious(0.1)),
        rule.but(decay=None),
        rule.but(average=average.Offset(average.Ema(0.9))),
        rule.but(average=average.Lookahead()),
        rule.but(store=optim.store.BFloat16()),
        rule.but(write=optim.write.Stochastic()),
        rule.but(moments={**rule.moments, "exp_avg": moment.Ema(0.9, debias=False)}),
        rule.but(moments={**rule.moments, "exp_avg_sq": moment.Ema(moment.PowerDecay(0.8), moment.square)}),
        rule.but(moments={**rule.moments, "exp_avg_sq": moment.Peak(moment.Ema(0.9, moment.square), hat=True)}),
        rule.but(direction=optim.direction.HatRatio()),
        optim.sgdw(0.9),
        optim.sgd_ema(),
        optim.prodigy(),
    ]
    assert [fused_of(other) for other in others] == [None] * len(others)


def test_only_auto_takes_them(monkeypatch):
    monkeypatch.undo()  # of the fixture that keeps them out
    params = start(SHAPES)

    def kernels(**options):
        optimizer = make("adamw", params, **options)
        advance(optimizer, gradients(params, 1))
        return [lane.fused is not None for lane in lanes(optimizer).values()]

    assert kernels(compile="auto") == [True] * 4
    assert kernels(compile=False) == [False] * 4
    monkeypatch.setenv("DANLU_ENGINE", "eager")
    assert kernels(compile="auto") == [False] * 4


@served
@pytest.mark.parametrize("piece", [average.Ema(0.9, every=3), average.Swa(start=4), average.Polynomial(2.0)], ids=str)
def test_a_running_average_follows(way, piece):
    ours, law = start(SHAPES), start(SHAPES)
    served, eager = (
        optim.create("adamw", params, average=piece, compile=how) for params, how in ((ours, "auto"), (law, False))
    )
    assert gap(step(served, ours), step(eager, law)) <= 1e-13
    assert all(lane.fused is not None for lane in lanes(served).values())
    apart = [served.state[p]["average"] for p in ours], [eager.state[p]["average"] for p in law]
    assert gap(*apart) <= 1e-13
    assert gap(apart[0], [p.detach() for p in ours]) >= 1e-3


@served
def test_where_they_serve_size_alone_does_not_compile(way, monkeypatch):
    monkeypatch.setattr(runner, "AUTO_FROM", 1)

    def compiled(name, dtype):
        return optim.create(name, start(SHAPES, dtype)).param_groups[0]["compiled"]

    assert compiled("adamw", torch.float32) is False
    assert compiled("adamw", torch.bfloat16) is True  # they round the state as well
    assert compiled("lion", torch.float32) is True


@served
def test_what_lies_otherwise_in_memory_goes_by_the_law(way):
    """A gradient in another order, a state of another width."""
    ours, law = start(((6, 4), (6, 4))), start(((6, 4), (6, 4)))
    served, eager = optim.create("adamw", ours), optim.create("adamw", law, compile=False)
    for a, b in gradients(ours, 3):
        row = [a, b.T.contiguous().T]
        advance(served, [row])
        advance(eager, [row])
    assert gap([p.detach() for p in ours], [p.detach() for p in law]) <= 1e-13
    for optimizer, p in ((served, ours[0]), (eager, law[0])):
        optimizer.state[p]["exp_avg"].data = optimizer.state[p]["exp_avg"].T.contiguous().T
    for row in gradients(ours, 3, seed=5):
        advance(served, [row])
        advance(eager, [row])
    assert gap([p.detach() for p in ours], [p.detach() for p in law]) <= 1e-13
    state = served.state[ours[0]]
    state["exp_avg"] = state["exp_avg"].contiguous().float()
    advance(served, gradients(ours, 1))
    assert [lane.fused is None for lane in lanes(served).values()] == [True, False]
