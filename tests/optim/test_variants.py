"""Cautious, stable, layer-wise, normalised, centralised: presets against golden trajectories and against their papers."""

import dataclasses

import numpy as np
import pytest
import torch

from danlu import optim
from tests.golden.cases_variants import CASES
from tests.golden.replay import Track, descend, gap, load, tracks
from tests.papers import together, variants
from tests.papers.problem import PEAK, problem

EXACT = 1e-12
PRESETS = {
    "adams": together.adams,
    **{name: getattr(variants, name) for name in variants.__all__ if name in optim.presets()},
}
_BETAS = {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}
_HEAVY = {"momentum": 0.8, "weight_decay": 0.1}
SETS = {
    "adams": [{}, _BETAS, {**_BETAS, "amsgrad": True, "decay_eps": 0.3}],
    "adamw_cwd": [{}, _BETAS, {**_BETAS, "amsgrad": True, "eps_hat": True}, {"zero": "spare"}],
    "adanorm": [{}, {**_BETAS, "r": 0.3, "decoupled_weight_decay": True}, {**_BETAS, "eps_hat": True, "eps_in_state": True}],
    "cautious_adamw": [{}, {**_BETAS, "amsgrad": True, "scale": "paper"}, {**_BETAS, "eps_hat": True, "scale": "none"}],
    "cautious_lion": [{}, {"betas": (0.8, 0.95), "weight_decay": 0.1, "scale": "paper"}],
    "lamb": [
        {},
        {**_BETAS, "debias": False, "adapt_vectors": True},
        {**_BETAS, "bounds": (0.5, 2.0), "ceiling": 0.6, "adapt_vectors": True},
    ],
    "lars": [
        {},
        {**_HEAVY, "trust_coefficient": 0.1, "eps": 1e-2},
        {**_HEAVY, "nesterov": True, "adapt_vectors": True, "trust_coefficient": 0.1},
    ],
    "norm_loss_sgd": [{}, {**_HEAVY, "dampening": 0.3}, {**_HEAVY, "nesterov": True, "vectors": True}],
    "sgd_gc": [{}, {**_HEAVY, "dampening": 0.3}, {**_HEAVY, "nesterov": True, "conv_only": True}],
    "sgds": [{}, {**_HEAVY, "dampening": 0.3}, {**_HEAVY, "nesterov": True}],
}
EVERY = [(name, options) for name in SETS for options in SETS[name]]


def walk(name, p0, grads, lrs, **options):
    oracle = PRESETS[name]
    if name == "adams":
        return oracle(p0, grads, lrs, **options)
    return {n: oracle(p0[n], grads[n], lrs, **options) for n in p0}


def fields(x):
    return "-".join(f"{k}={v}" for k, v in x.items()) or "defaults" if isinstance(x, dict) else None


def golden(case):
    """The case's tracks; "shrink" is the plain one with gradients that fall by 0.8 at every step."""
    stored = dataclasses.replace(case, tracks=tuple(t for t in case.tracks if t != "shrink"))
    yield from tracks(stored)
    if "shrink" in case.tracks:
        (plain,) = tracks(dataclasses.replace(case, tracks=("plain",)))
        _, arrays = load(case.file)
        falling = {n: g * (0.8 ** np.arange(30)).reshape(-1, *[1] * (g.ndim - 1)) for n, g in plain.grads.items()}
        kept = {n: arrays[f"shrink__p_{n}"][1:] for n in plain.p0}
        yield Track("shrink", plain.p0, falling, plain.updates, kept)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_oracle_meets_golden(case):
    for track in golden(case):
        paths = walk(case.preset, track.p0, track.grads, case.lrs, **case.options)
        for n in case.without_decay:
            paths[n] = PRESETS[case.preset](track.p0[n], track.grads[n], case.lrs, **{**case.options, "weight_decay": 0.0})
        assert track.distance(paths) <= case.tolerance, track.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_preset_meets_golden(case):
    for track in golden(case):
        paths = descend(lambda params: make(case, params), track.p0, track.grads, case.lrs)
        assert track.distance(paths) <= case.tolerance, track.name


def make(case, params):
    groups = [{"params": [p for n, p in params.items() if n not in case.without_decay]}]
    if case.without_decay:
        groups.append({"params": [params[n] for n in case.without_decay], "weight_decay": 0.0})
    return optim.create(case.preset, groups, lr=case.lr, **case.options)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_golden_tolerance_is_far_below_the_effect(case):
    for track in golden(case):
        still = {n: [p] * len(case.lrs) for n, p in track.p0.items()}
        assert track.distance(still) >= 1e3 * case.tolerance


@pytest.mark.parametrize(("name", "options"), EVERY, ids=fields)
def test_preset_meets_its_oracle(name, options):
    p0, grads, lrs = problem(seed=4)
    paths = descend(lambda params: optim.create(name, params.values(), lr=PEAK, **options), p0, grads, lrs)
    assert gap(paths, walk(name, p0, grads, lrs, **options)) <= EXACT


@pytest.mark.parametrize("name", SETS)
def test_defaults_and_options_are_the_papers(name):
    assert {key for options in SETS[name] for key in options} == optim.preset(name).options.keys()
    ours = {key: default for key, (_, default) in optim.preset(name).options.items()}
    p0, grads, lrs = problem(seed=3)
    assert gap(walk(name, p0, grads, lrs, **ours), walk(name, p0, grads, lrs)) == 0.0


def test_cautious_momentum_meets_golden():
    (track,) = (t for t in tracks(dataclasses.replace(CASES[0], file="B_cautious_sgdw__timm.npz", tracks=("hard",))))
    options = {"momentum": 0.9, "weight_decay": 0.1}
    oracle = {n: variants.cautious_sgdw(p, track.grads[n], [1e-2] * 30, **options) for n, p in track.p0.items()}
    assert track.distance(oracle) <= EXACT

    def make(params):
        return optim.create("sgdw", params.values(), lr=1e-2, **options, modify="cautious")

    assert track.distance(descend(make, track.p0, track.grads, [1e-2] * 30)) <= EXACT


def test_lars_with_the_norm_of_the_sum_and_lr_inside_the_buffer_meets_golden():
    """optax's form, from the pieces: r of ‖g + λp‖, and momentum after lr."""
    (track,) = tracks(dataclasses.replace(CASES[0], file="B_lars__optax.npz", tracks=("plain",)))
    rule = optim.Rule(
        optim.direction.Plain(),
        modify=(optim.modify.AddPenalty(optim.decay.L2(0.01)), optim.modify.TrustRatio(0.001, adapt_vectors=True)),
        after_lr=optim.modify.Smooth(optim.moment.HeavyBall(0.9)),
    )
    paths = descend(lambda params: optim.Optimizer(params.values(), rule, lr=0.1), track.p0, track.grads, [0.1] * 30)
    assert track.distance(paths) <= EXACT


def test_lamb_with_timms_clip_meets_golden():
    (track,) = tracks(dataclasses.replace(CASES[0], file="B_lamb_clipnorm__timm.npz", tracks=("plain",)))

    def make(params):
        options = {"betas": (0.9, 0.99), "weight_decay": 0.1, "adapt_vectors": True}
        return optim.create("lamb", params.values(), lr=1e-2, **options, grad=optim.grad.ClipNorm(1.0))

    assert track.distance(descend(make, track.p0, track.grads, [1e-2] * 30)) <= EXACT


@pytest.mark.parametrize("proximal", [False, True])
def test_l1_meets_its_oracle(proximal):
    piece = optim.decay.ProximalL1(0.2) if proximal else optim.decay.L1(0.2)
    p0, grads, lrs = problem(seed=5)
    paths = descend(lambda params: optim.create("sgd", params.values(), lr=PEAK, decay=piece), p0, grads, lrs)
    assert gap(paths, {n: variants.sgd_l1(p0[n], grads[n], lrs, rate=0.2, proximal=proximal) for n in p0}) <= EXACT


def test_l1_subgradient_meets_golden():
    (track,) = tracks(dataclasses.replace(CASES[0], file="B_sgd_l1_subgradient__torch_autograd.npz", tracks=("plain",)))
    decay = optim.decay.L1(0.02)
    paths = descend(
        lambda params: optim.create("sgd", params.values(), lr=1e-2, decay=decay), track.p0, track.grads, [1e-2] * 30
    )
    assert track.distance(paths) <= EXACT


def test_proximal_l1_makes_exact_zeros_and_keeps_them():
    p0, still = {"p": np.array([0.05, -0.05, 1.0])}, {"p": np.zeros((30, 3))}
    decay = optim.decay.ProximalL1(0.1)
    path = descend(lambda params: optim.create("sgd", params.values(), decay=decay), p0, still, [0.1] * 30)["p"]
    assert path[-1][:2].tolist() == [0.0, 0.0]
    assert path[-1][2] == pytest.approx(0.7)


def test_norm_loss_leaves_a_zero_row_alone():
    p0, still = {"p": np.array([[0.0, 0.0], [3.0, 4.0]])}, {"p": np.zeros((500, 2, 2))}
    decay = optim.decay.NormLoss(1.0)
    path = descend(lambda params: optim.create("sgd", params.values(), decay=decay), p0, still, [0.1] * 500)["p"]
    assert path[-1] == pytest.approx(np.array([[0.0, 0.0], [0.6, 0.8]]))


@pytest.mark.parametrize("shape", [(), (1,), (2,), (1, 2)], ids=str)
def test_norm_loss_of_a_denormal_length_stays_finite(shape):
    """The norm of a single number is exact, and 1/1e-40 is inf in float32."""
    p = torch.nn.Parameter(torch.full(shape, 1e-40))
    p.grad = torch.zeros(shape)
    optim.create("sgd", [p], lr=0.1, decay=optim.decay.NormLoss(1.0, vectors=True)).step()
    assert (p.abs() <= 1e-36).all()


def test_stable_decay_without_gradients_and_with_tiny_ones():
    """No gradient yet: no decay. A tiny one: at most the whole parameter, never past zero."""
    p0 = {"p": np.array([1.0, -2.0])}
    grads = {"p": np.array([[0.0, 0.0], [1e-12, 1e-12]])}
    options = {"lr": 0.1, "eps": 1.0, "decay": optim.decay.Stable(0.1, eps=0.0)}
    path = descend(lambda params: optim.create("adamw", params.values(), **options), p0, grads, [0.1] * 2)["p"]
    assert path[0].tolist() == [1.0, -2.0]
    assert path[1] == pytest.approx(np.zeros(2), abs=1e-10)


def test_stable_decay_needs_a_second_moment():
    with pytest.raises(ValueError, match=r"decay\.Stable needs a moment of g² or \|g\|"):
        optim.Rule(optim.direction.Plain(), decay=optim.decay.Stable(0.1))


def test_a_zero_weight_leaves_zero_under_a_trust_ratio():
    p0, grads = {"p": np.zeros((2, 2))}, {"p": np.ones((1, 2, 2))}
    path = descend(lambda params: optim.create("lars", params.values()), p0, grads, [0.1])["p"]
    assert path[0] == pytest.approx(np.full((2, 2), -0.1))


def test_bounds_of_the_trust_ratio_stay_in_order():
    with pytest.raises(ValueError, match=r"modify\.TrustRatio: bounds must be in order, got \(2\.0, 1\.0\)"):
        optim.modify.TrustRatio(bounds=(2.0, 1.0))


def test_stable_decay_is_one_number_over_all_groups():
    p0, grads, lrs = problem(seed=7)

    def make(params):
        return optim.create("adams", [{"params": [p]} for p in params.values()], lr=PEAK, weight_decay=0.1)

    assert gap(descend(make, p0, grads, lrs), together.adams(p0, grads, lrs, weight_decay=0.1)) <= EXACT


@pytest.mark.parametrize(
    "options",
    [
        {"name": "adanorm"},
        {"name": "adams", "weight_decay": 0.1},
        {"name": "adam_cpr", "start": "inflection", "every": 1, "kappa": 0.5},
        {"name": "adam_cpr", "start": "dependent", "norm": "std", "kappa": 0.5},
        {"name": "adamw", "modify": optim.modify.SpectralBound()},
    ],
    ids=lambda x: x["name"],
)
def test_resume_is_never_having_stopped(options):
    """Numbers per tensor and singular vectors are state: saved, loaded, gone on with, bit for bit."""
    p0, grads, _ = problem(seed=9, steps=12)

    def fresh(start):
        params = {n: torch.nn.Parameter(torch.tensor(x)) for n, x in start.items()}
        rest = {key: value for key, value in options.items() if key != "name"}
        return params, optim.create(options["name"], list(params.items()), lr=0.1, **rest)

    def walk(params, optimizer, steps):
        for k in steps:
            for n, p in params.items():
                p.grad = torch.tensor(grads[n][k])
            optimizer.step()

    straight, optimizer = fresh(p0)
    walk(straight, optimizer, range(7))
    saved, here = optimizer.state_dict(), {n: p.detach().numpy().copy() for n, p in straight.items()}
    walk(straight, optimizer, range(7, 12))
    resumed, other = fresh(here)
    other.load_state_dict(saved)
    walk(resumed, other, range(7, 12))
    assert all(torch.equal(straight[n], resumed[n]) for n in straight)
