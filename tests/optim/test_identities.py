"""Rules that are one and the same where the algebra says so, and apart where it does not."""

import functools
import math

import numpy as np
import pytest

from danlu import optim
from tests.golden.replay import descend, gap
from tests.papers import PAPERS
from tests.papers.problem import PEAK, problem
from tests.papers.rmsprop import look_ahead_rmsprop
from tests.papers.sgd import look_ahead_sgd

EXACT = 1e-12
APART = 1e-4
EPS = {
    "adagrad": {"eps": 1e-3},
    "adam": {"eps": 1e-3},
    "adamax": {"eps": 1e-3},
    "lion": {},
    "nadam": {"eps": 1e-3},
    "nadam_simple": {"eps": 1e-3},
    "radam": {"eps": 1e-3, "unadapted": False},
    "rmsprop": {"eps": 1e-3},
}


def walk(name, p0, grads, lrs, **options):
    return descend(lambda params: optim.create(name, params.values(), lr=PEAK, **options), p0, grads, lrs)


def steady(lrs):
    return np.full_like(lrs, PEAK)


def bowls(p0, grads):
    """Noisy quadratics: gradients that depend on the point where they are taken."""

    def gradient(noise, k, y):
        return 0.5 * (y - 1.0) + noise[k]

    return {name: functools.partial(gradient, grads[name]) for name in p0}


@pytest.fixture
def given():
    return problem(seed=6)


def test_nesterov_of_the_velocity_is_the_look_ahead_form_for_every_schedule(given):
    p0, noise, lrs = given
    grads = bowls(p0, noise)
    for rates in (lrs, steady(lrs)):
        printed = {n: look_ahead_sgd(p0[n], grads[n], rates, momentum=0.9) for n in p0}
        assert gap(walk("sgd_velocity", p0, grads, rates, momentum=0.9, nesterov=True), printed) <= EXACT


def test_nesterov_of_torch_is_the_look_ahead_form_for_a_steady_lr_only(given):
    p0, noise, lrs = given
    grads = bowls(p0, noise)
    for rates, same in ((steady(lrs), True), (lrs, False)):
        printed = {n: look_ahead_sgd(p0[n], grads[n], rates, momentum=0.9) for n in p0}
        apart = gap(walk("sgd", p0, grads, rates, momentum=0.9, nesterov=True), printed)
        assert apart <= EXACT if same else apart >= APART


@pytest.mark.parametrize("lr_inside", [True, False])
def test_rmsprop_nesterov_is_the_look_ahead_form(given, lr_inside):
    p0, noise, lrs = given
    grads = bowls(p0, noise)
    options = {"alpha": 0.9, "eps": 1e-3, "momentum": 0.8}
    for rates, same in ((steady(lrs), True), (lrs, lr_inside)):
        printed = {n: look_ahead_rmsprop(p0[n], grads[n], rates, **options) for n in p0}
        ours = walk("rmsprop", p0, grads, rates, **options, nesterov=True, eps_inside=True, lr_inside=lr_inside)
        apart = gap(ours, printed)
        assert apart <= EXACT if same else apart >= APART


def test_average_momentum_is_heavy_ball_with_a_shorter_lr(given):
    p0, grads, lrs = given
    assert gap(walk("sgd_ema", p0, grads, lrs, momentum=0.9), walk("sgd", p0, grads, 0.1 * lrs, momentum=0.9)) <= EXACT


def test_velocity_is_heavy_ball_for_a_steady_lr_only(given):
    p0, grads, lrs = given
    both = [lambda rates, name=name: walk(name, p0, grads, rates, momentum=0.9) for name in ("sgd", "sgd_velocity")]
    assert gap(*(form(steady(lrs)) for form in both)) <= EXACT
    assert gap(*(form(lrs) for form in both)) >= APART


def test_dampening_is_not_the_average_because_the_first_buffer_is_undamped(given):
    p0, grads, lrs = given
    damped, average = walk("sgd", p0, grads, lrs, momentum=0.9, dampening=0.9), walk("sgd_ema", p0, grads, lrs)
    assert gap(damped, average) >= APART


@pytest.mark.parametrize("name", ["sgd", "sgdw"])
def test_without_momentum_l2_and_decoupled_decay_are_one(given, name):
    p0, grads, lrs = given
    assert gap(walk(name, p0, grads, lrs, weight_decay=0.1), walk("sgd", p0, grads, lrs)) >= APART
    assert gap(walk("sgd", p0, grads, lrs, weight_decay=0.1), walk("sgdw", p0, grads, lrs, weight_decay=0.1)) <= EXACT


@pytest.mark.parametrize("eps_hat", [True, False])
def test_adam_without_first_moment_is_rmsprop_with_bias_correction(given, eps_hat):
    p0, grads, lrs = given
    root = np.sqrt(1 - 0.99 ** np.arange(1, len(lrs) + 1))
    ours = walk("adam", p0, grads, lrs, betas=(0.0, 0.99), eps=1e-3, eps_hat=eps_hat)
    if eps_hat:
        assert gap(ours, walk("rmsprop", p0, grads, lrs * root, alpha=0.99, eps=1e-3)) <= EXACT
        return
    for n in p0:
        v, p = 0.0, p0[n]
        for k, g in enumerate(grads[n]):
            v = 0.99 * v + 0.01 * g**2
            p = p - lrs[k] * g / (np.sqrt(v) / root[k] + 1e-3)
            assert np.max(np.abs(ours[n][k] - p)) <= EXACT


def test_adam_with_debiased_betas_is_adam(given):
    p0, grads, lrs = given
    ours = walk("adam", p0, grads, lrs, betas=(0.9, 0.99), eps=1e-3)
    for n in p0:
        m_hat, v_hat, p = 0.0, 0.0, p0[n]
        for t, g in enumerate(grads[n], start=1):
            b1, b2 = (b * (1 - b ** (t - 1)) / (1 - b**t) for b in (0.9, 0.99))
            m_hat, v_hat = b1 * m_hat + (1 - b1) * g, b2 * v_hat + (1 - b2) * g**2
            p = p - lrs[t - 1] * m_hat / (np.sqrt(v_hat) + 1e-3)
            assert np.max(np.abs(ours[n][t - 1] - p)) <= EXACT


def test_amsgrad_is_adam_while_gradients_grow(given):
    p0, grads, lrs = given
    growing = {n: np.sign(g) * 1.1 ** np.arange(len(lrs)).reshape(-1, *[1] * p0[n].ndim) for n, g in grads.items()}
    assert gap(walk("adam", p0, growing, lrs, amsgrad=True), walk("adam", p0, growing, lrs)) <= EXACT
    assert gap(walk("adam", p0, grads, lrs, betas=(0.9, 0.9), amsgrad=True), walk("adam", p0, grads, lrs)) >= APART


def test_nadam_without_momentum_schedule_leads_by_one_correction(given):
    p0, grads, lrs = given
    ours = walk("nadam", p0, grads, lrs, betas=(0.9, 0.99), eps=1e-3, momentum_decay=math.inf)
    for n in p0:
        m, v, p = 0.0, 0.0, p0[n]
        for t, g in enumerate(grads[n], start=1):
            m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
            m_bar = 0.9 * m / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)
            p = p - lrs[t - 1] * m_bar / (np.sqrt(v / (1 - 0.99**t)) + 1e-3)
            assert np.max(np.abs(ours[n][t - 1] - p)) <= EXACT


def test_the_two_nadams_differ(given):
    p0, grads, lrs = given
    assert gap(walk("nadam", p0, grads, lrs), walk("nadam_simple", p0, grads, lrs)) >= APART


@pytest.mark.parametrize("eps_hat", [True, False])
def test_radam_becomes_adam(eps_hat):
    """ρₜ has reached ρ∞, so r = 1: from there on both take the same steps, far from one another at the start."""
    p0, grads, lrs = problem(seed=7, steps=400)
    p0, grads = ({n: x[n] for n in ("scalar", "vector")} for x in (p0, grads))
    options = {"betas": (0.8, 0.9), "eps": 1e-3, "eps_hat": eps_hat}
    rectified, plain = walk("radam", p0, grads, lrs, **options), walk("adam", p0, grads, lrs, **options)
    steps = [{n: np.diff(path, axis=0) for n, path in paths.items()} for paths in (rectified, plain)]
    assert gap(*({n: d[:20] for n, d in each.items()} for each in steps)) >= APART
    assert gap(*({n: d[-50:] for n, d in each.items()} for each in steps)) <= EXACT


def test_lion_with_one_beta_follows_the_sign_of_the_average(given):
    p0, grads, lrs = given
    ours = walk("lion", p0, grads, lrs, betas=(0.9, 0.9))
    for n in p0:
        m, p = 0.0, p0[n]
        for k, g in enumerate(grads[n]):
            m = 0.9 * m + 0.1 * g
            p = p - lrs[k] * np.sign(m)
            assert np.max(np.abs(ours[n][k] - p)) <= EXACT


def test_adagrads_lr_decay_is_a_schedule(given):
    p0, grads, lrs = given
    falling = lrs / (1 + 0.3 * np.arange(len(lrs)))
    assert gap(walk("adagrad", p0, grads, lrs, lr_decay=0.3), walk("adagrad", p0, grads, falling)) <= EXACT


def test_adam_with_decoupled_decay_is_adamw(given):
    p0, grads, lrs = given
    adamw = walk("adamw", p0, grads, lrs, weight_decay=0.1)
    assert gap(walk("adam", p0, grads, lrs, weight_decay=0.1, decoupled_weight_decay=True), adamw) == 0.0
    assert gap(walk("adamw", p0, grads, lrs, decay=optim.decay.Decoupled(0.1)), adamw) == 0.0
    assert gap(walk("adam", p0, grads, lrs, weight_decay=0.1), adamw) >= APART


@pytest.mark.parametrize(
    ("name", "twin"),
    [("adamw", "adam"), ("sgdw", "sgd"), ("nadam", "nadam"), ("nadam_simple", "nadam_simple"), ("radam", "radam")],
)
def test_a_decay_of_zero_is_absence(given, name, twin):
    p0, grads, lrs = given
    flag = {"decoupled_weight_decay": True} if name == twin else {}
    assert gap(walk(name, p0, grads, lrs, weight_decay=0.0, **flag), walk(twin, p0, grads, lrs)) == 0.0


@pytest.mark.parametrize(("form", "at_the_peak"), [("Scheduled", "Constant"), ("Corrected", "Decoupled")])
def test_decays_that_know_the_peak_agree_with_those_that_do_not_at_the_peak(given, form, at_the_peak):
    p0, grads, lrs = given
    forms = [getattr(optim.decay, each)(0.1) for each in (form, at_the_peak)]
    assert gap(*(walk("adamw", p0, grads, steady(lrs), decay=decay) for decay in forms)) <= EXACT
    assert gap(*(walk("adamw", p0, grads, lrs, decay=decay) for decay in forms)) >= APART


@pytest.mark.parametrize("name", sorted(EPS))
def test_eps_has_the_unit_of_the_gradient(given, name):
    """Gradients in another unit, with eps in that unit, change nothing; a power of two keeps every digit."""
    p0, grads, lrs = given
    scaled = {n: 1024.0 * g for n, g in grads.items()}
    options = {key: 1024.0 * value if key == "eps" else value for key, value in EPS[name].items()}
    assert gap(walk(name, p0, scaled, lrs, **options), walk(name, p0, grads, lrs, **EPS[name])) <= EXACT


@pytest.mark.parametrize("name", ["adagrad", "rmsprop"])
def test_eps_inside_the_root_has_the_unit_of_the_gradient_squared(given, name):
    p0, grads, lrs = given
    scaled = {n: 1024.0 * g for n, g in grads.items()}
    inside = functools.partial(walk, name, eps_inside=True)
    assert gap(inside(p0, scaled, lrs, eps=1024.0**2 * 1e-3), inside(p0, grads, lrs, eps=1e-3)) <= EXACT
    assert gap(inside(p0, scaled, lrs, eps=1024.0 * 1e-3), inside(p0, grads, lrs, eps=1e-3)) >= APART


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_zero_gradients_move_nothing(given, name):
    p0, grads, lrs = given
    zeros = {n: np.zeros_like(g) for n, g in grads.items()}
    decays = {"weight_decay"} & optim.preset(name).options.keys()
    paths = walk(name, p0, zeros, lrs, **dict.fromkeys(decays, 0.0))
    assert all(np.array_equal(p, p0[n]) for n in p0 for p in paths[n])


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_a_tensor_that_joins_late_starts_at_its_own_first_update(given, name):
    p0, grads, lrs = given
    late = {"scalar", "matrix"}
    joining = {n: [None] * 3 + list(g[3:]) if n in late else g for n, g in grads.items()}
    paths = walk(name, p0, joining, lrs)
    for n in p0:
        first = 3 if n in late else 0
        assert all(np.array_equal(p, p0[n]) for p in paths[n][:first])
        want = PAPERS[name](p0[n], grads[n][first:], lrs[first:])
        assert gap({n: paths[n][first:]}, {n: want}) <= EXACT
