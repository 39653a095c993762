"""Softplus, atan2, AMSGrad, AdaBelief, normalised and sign descent: oracles meet golden data, presets meet both."""

import numpy as np
import pytest
import torch

from danlu import optim
from tests.golden.cases import Case
from tests.golden.cases_denominator import CASES
from tests.golden.replay import descend, gap, tracks
from tests.papers import denominator as papers
from tests.papers.adam import adamw
from tests.papers.problem import problem

EXACT = 1e-12
_SOME = {"betas": (0.8, 0.95), "weight_decay": 0.1}
SETS = [
    ("sadam", {}),
    ("sadam", {**_SOME, "smooth": 5.0, "amsgrad": False}),
    ("adam_atan2", {}),
    ("adam_atan2", {**_SOME, "a": 2.0, "b": 0.5}),
    ("amsgrad", {}),
    ("amsgrad", {**_SOME, "eps": 1e-3, "debias": True}),
    ("adabelief", {}),
    ("adabelief", {**_SOME, "eps": 1e-4}),
    ("adabelief", {**_SOME, "eps": 1e-4, "rectify": False, "decoupled_weight_decay": False}),
    ("eadam", {}),
    ("eadam", {**_SOME, "eps": 1e-3}),
    ("nsgda", {}),
    ("nsgda", {"momentum": 0.0, "eps": 0.1, "weight_decay": 0.1}),
    ("sign_sgd", {}),
    ("sign_sgd", {"weight_decay": 0.1}),
    ("yogi", {}),
    ("yogi", {**_SOME, "eps": 1e-2, "initial_accumulator_value": 0.1, "debias": True}),
    ("signum", {}),
    ("signum", {"momentum": 0.5, "weight_decay": 0.1}),
]


def oracle(name, p0, grads, lrs, options):
    options = dict(options)
    if options.pop("whole", False):
        return papers.nsgda_whole(p0, grads, lrs, **options)
    return {n: getattr(papers, name)(p0[n], grads[n], lrs, **options) for n in p0}


def walk(name, p0, grads, lrs, **options):
    return descend(lambda params: optim.create(name, params.values(), lr=lrs[0], **options), p0, grads, lrs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_oracle_meets_golden(case):
    for track in tracks(case):
        assert track.distance(oracle(case.preset, track.p0, track.grads, case.lrs, case.options)) <= case.tolerance
        still = {n: [p] * len(case.lrs) for n, p in track.p0.items()}
        assert track.distance(still) >= 1e3 * case.tolerance


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_preset_meets_golden(case):
    for track in tracks(case):
        assert track.distance(walk(case.preset, track.p0, track.grads, case.lrs, **case.options)) <= case.tolerance


@pytest.mark.parametrize(("name", "options"), [*SETS, ("nsgda", {"whole": True, "eps": 0.1})], ids=str)
def test_preset_meets_its_oracle(name, options):
    p0, grads, lrs = problem(seed=4)
    assert gap(walk(name, p0, grads, lrs, **options), oracle(name, p0, grads, lrs, options)) <= EXACT


def test_clamped_eps_meets_heavyball():
    """HeavyBall computes in float32; the floor shows where gradients are below ε = 1e-8."""
    options = {"weight_decay": 0.05, "direction": optim.direction.ClampRatio(1e-8)}
    case = Case("A_adamw_eps_clamp__heavyball_f32.npz", "adamw", options, 1e-2, 2e-6, ("plain", "edge"))
    for track in tracks(case):
        assert track.distance(walk("adamw", track.p0, track.grads, case.lrs, **options)) <= case.tolerance


def test_a_clamped_eps_is_a_floor_and_nothing_else():
    """Above the floor the quotient is exact: Adam with ε = 0. Below, the step is m̂/ε."""
    p0, grads, lrs = problem(seed=7)
    floor = {"direction": optim.direction.ClampRatio(1e-9)}
    plain = {n: adamw(p0[n], grads[n], lrs, eps=0.0) for n in p0}
    assert gap(walk("adamw", p0, grads, lrs, **floor), plain) <= EXACT
    tiny = {n: 1e-12 * g for n, g in grads.items()}
    below = {n: adamw(p0[n], tiny[n], lrs, eps=0.0) for n in p0}
    assert gap(walk("adamw", p0, tiny, lrs, **floor), below) >= 1e-3


def test_lifted_and_deviating_moments_are_what_they_say():
    """Off means absent: no ε is the moment itself; a first moment without memory deviates by nothing."""
    p0, grads, lrs = problem(seed=8)
    square = optim.moment.Ema(0.99, optim.moment.square)
    plain = walk("adam", p0, grads, lrs, betas=(0.9, 0.99))
    for second in (optim.moment.Lifted(square, 0.0), optim.moment.Lifted(optim.moment.Lifted(square, 0.0), 0.0)):
        moments = {"exp_avg": optim.moment.Ema(0.9), "exp_avg_sq": second}
        assert gap(walk("adam", p0, grads, lrs, moments=moments), plain) == 0.0
    still = {"exp_avg": optim.moment.Ema(0.0), "exp_avg_sq": optim.moment.Deviation(square)}
    moved = walk("adam", p0, grads, lrs, moments=still, eps=1.0)
    assert gap(moved, walk("sgd", p0, grads, lrs)) <= EXACT


def test_atan2_does_not_see_the_scale_of_the_gradient():
    p0, grads, lrs = problem(seed=9)
    scaled = {n: 1e-6 * g for n, g in grads.items()}
    assert gap(walk("adam_atan2", p0, grads, lrs), walk("adam_atan2", p0, scaled, lrs)) <= EXACT
    steep = walk("adam_atan2", p0, grads, lrs, betas=(0.9, 0.999), a=1e8, b=1e8)
    without_eps = walk("adamw", p0, grads, lrs, weight_decay=0.0, direction=optim.direction.Ratio(0.0))
    assert gap(steep, without_eps) <= EXACT


def test_every_tensor_moves_by_lr_under_nsgda():
    p0, grads, lrs = problem(seed=10)
    path = walk("nsgda", p0, grads, lrs, eps=1e-14)
    for n in p0:
        rows = np.array([p0[n], *path[n]])
        lengths = np.sqrt(((rows[1:] - rows[:-1]) ** 2).reshape(len(lrs), -1).sum(1))
        assert np.abs(lengths / lrs - 1).max() <= 1e-9


def test_signum_is_lion_with_equal_betas():
    p0, grads, lrs = problem(seed=11)
    assert gap(walk("signum", p0, grads, lrs), walk("lion", p0, grads, lrs, betas=(0.9, 0.9))) == 0.0


def test_a_floor_and_a_deviation_are_for_magnitudes():
    for made in (optim.moment.Lifted, optim.moment.Deviation):
        with pytest.raises(ValueError, match=rf"moment\.{made.__name__} is for magnitudes: give it a moment of g² or"):
            made(optim.moment.Ema(0.9))


def test_yogi_falls_by_what_it_sees_and_an_average_by_what_it_holds():
    """After a spike and a thousandfold smaller gradients, the average has forgotten; Yogi's second moment has not."""
    p, q = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    ours, theirs = optim.create("yogi", [p], betas=(0.9, 0.9)), optim.create("adam", [q], betas=(0.9, 0.9))
    for k in range(50):
        for optimizer, x in ((ours, p), (theirs, q)):
            x.grad = torch.full((1,), 1.0 if k == 0 else 1e-3)
            optimizer.step()
    assert ours.state[p]["exp_avg_sq"].item() > 0.099
    assert theirs.state[q]["exp_avg_sq"].item() < 1e-3


def test_eps_in_both_places_is_adam_with_optax_eps_root():
    """Adam's oracle with √(v̂ + ε₀) + ε for its denominator, in NumPy."""
    rng = np.random.default_rng(0)
    p, grads = rng.normal(size=6), rng.normal(size=(5, 6)) * 1e-2
    parameter = torch.nn.Parameter(torch.tensor(p))
    optimizer = optim.create("adam", [parameter], lr=0.1, direction=optim.direction.TwiceRatio(1e-3, root_eps=1e-5))
    m = v = np.zeros(6)
    for t, g in enumerate(grads, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        p = p - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t) + 1e-5) + 1e-3)
        parameter.grad = torch.tensor(g)
        optimizer.step()
        assert np.abs(parameter.detach().numpy() - p).max() < 1e-12


def test_the_soft_floor_is_as_exact_in_float32_as_its_ulps():
    """From where the floor is all there is to where it is nothing; the sum has a relative error of an ulp, 1.2e-7."""
    x = torch.logspace(-8, 1, 10_000, dtype=torch.float64).float()
    moments = {"exp_avg": optim.moment.Ema(0.5), "exp_avg_sq": optim.moment.Ema(0.5, optim.moment.square)}
    steps = []
    for dtype in (torch.float32, torch.float64):
        p = torch.zeros(len(x), dtype=dtype).requires_grad_()
        p.grad = x.to(dtype)
        optim.Optimizer([p], optim.Rule(optim.direction.Softplus(), moments), lr=1.0, compile=False).step()
        steps.append(p.detach().double())
    assert ((steps[0] - steps[1]).abs() / steps[1].abs()).max() <= 6e-7
