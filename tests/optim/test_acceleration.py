"""The acceleration family: oracles meet golden data, presets meet both, for every option."""

import numpy as np
import pytest
import torch

from danlu import optim
from tests.golden.cases import Case
from tests.golden.cases_acceleration import CASES
from tests.golden.replay import descend, gap, tracks
from tests.optim.oracle_laws import check_defaults, check_options_move
from tests.papers import acceleration, ranger
from tests.papers.problem import PEAK, problem

EXACT = 1e-12
_BETAS = {"betas": (0.8, 0.95), "eps": 1e-3}
_DECAYS = {"weight_decay": 0.1, "decoupled_weight_decay": True}
OPTION_SETS = {
    "adagl": [{}, {**_BETAS, "weight_decay": 0.1, "alpha": 0.9, "length": 3}, {**_BETAS, **_DECAYS}],
    "adamomentum": [{}, {**_BETAS, "weight_decay": 0.1}, {**_BETAS, **_DECAYS}],
    "adan": [{}, {"betas": (0.9, 0.8, 0.95), "eps": 1e-3, "weight_decay": 0.3}, {"weight_decay": 0.3, "no_prox": True}],
    "adapnm": [
        {},
        {"betas": (0.8, 0.95, 0.5), "eps": 1e-3, "weight_decay": 0.1, "amsgrad": False},
        {"weight_decay": 0.1, "decoupled_weight_decay": False},
    ],
    "ademamix": [
        {},
        {"betas": (0.8, 0.95, 0.99), "alpha": 5.0, "eps": 1e-3, "weight_decay": 0.1},
        {"beta3_warmup": 30, "alpha_warmup": 20},
        {"beta3_warmup": 5, "alpha_warmup": 7},
    ],
    "diffgrad": [{}, {**_BETAS, "weight_decay": 0.1}, {**_BETAS, **_DECAYS, "eps_hat": False}],
    "ranger": [
        {},
        {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "k": 3, "alpha": 0.8, "threshold": 4.0, "conv_only": True},
    ],
    "pnm": [{}, {"betas": (0.8, 0.5), "weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": False}],
}
SETS = [(name, options) for name, sets in OPTION_SETS.items() for options in sets]


def walk(name, p0, grads, lrs, **options):
    oracle = getattr(ranger if name == "ranger" else acceleration, name)
    return {n: oracle(p0[n], grads[n], lrs, **options) for n in p0}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_oracle_meets_golden(case):
    for track in tracks(case):
        paths = walk(case.preset, track.p0, track.grads, case.lrs, **case.options)
        assert track.distance(paths) <= case.tolerance, track.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_preset_meets_golden(case):
    for track in tracks(case):
        paths = descend(
            lambda params: optim.create(case.preset, params.values(), lr=case.lr, **case.options),
            track.p0,
            track.grads,
            case.lrs,
        )
        assert track.distance(paths) <= case.tolerance, track.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_golden_tolerance_is_far_below_the_effect(case):
    for track in tracks(case):
        still = {n: [p] * len(case.lrs) for n, p in track.p0.items()}
        assert track.distance(still) >= 1e3 * case.tolerance


@pytest.mark.parametrize(("name", "options"), SETS)
def test_preset_meets_its_oracle(name, options):
    p0, grads, lrs = problem(seed=4)
    paths = descend(lambda params: optim.create(name, params.values(), lr=PEAK, **options), p0, grads, lrs)
    assert gap(paths, walk(name, p0, grads, lrs, **options)) <= EXACT


@pytest.mark.parametrize("name", sorted(OPTION_SETS))
def test_defaults_are_the_papers_and_every_option_is_walked(name):
    check_defaults(walk, name, OPTION_SETS[name])


@pytest.mark.parametrize(("name", "options"), [s for s in SETS if s[1]])
def test_every_option_moves_its_oracle(name, options):
    check_options_move(walk, name, options, least=1e3 * EXACT)


@pytest.mark.parametrize("name", sorted(OPTION_SETS))
def test_zero_gradients_move_nothing(name):
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64))
    optimizer = optim.create(name, [p], lr=0.1, weight_decay=0.0)
    for _ in range(4):
        p.grad = torch.zeros_like(p)
        optimizer.step()
    assert p.tolist() == [1.0, -2.0, 0.0]


def test_friction_keeps_a_copy_of_a_gradient_that_is_written_in_place():
    """The authors' first version kept a reference: the difference was 0 and every step half of Adam's."""
    p0, grads, lrs = problem(seed=5)
    params = {n: torch.nn.Parameter(torch.tensor(x)) for n, x in p0.items()}
    optimizer = optim.DiffGrad(params.values(), lr=PEAK)
    paths = {n: [] for n in p0}
    for k, lr in enumerate(lrs):
        optimizer.param_groups[0]["lr"] = lr
        for n, p in params.items():
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
            p.grad.copy_(torch.tensor(grads[n][k]))
        optimizer.step()
        for n, p in params.items():
            paths[n].append(p.detach().numpy().copy())
    assert gap(paths, walk("diffgrad", p0, grads, lrs)) <= EXACT


def test_the_off_settings_are_the_simpler_optimizers():
    p0, grads, lrs = problem(seed=6)

    def path(name, **options):
        return descend(lambda params: optim.create(name, params.values(), lr=PEAK, **options), p0, grads, lrs)

    assert gap(path("ademamix", alpha=0.0), path("adamw", weight_decay=0.0)) == 0.0
    unfiltered = optim.grad.Fractional(0.0)
    assert gap(path("adam", grad=unfiltered), path("adam")) == 0.0
    differences = {n: np.diff(g, axis=0, prepend=0) for n, g in grads.items()}
    differenced = descend(lambda params: optim.create("adam", params.values(), lr=PEAK), p0, differences, lrs)
    assert gap(path("adam", grad=optim.grad.Fractional(1.0)), differenced) <= EXACT


def test_diffgrad_with_constant_decay_meets_golden():
    case = Case("B_diffgrad_fixed_decay__pytorch_optimizer.npz", "diffgrad", {"betas": (0.9, 0.99)}, 1e-2, 1e-10, ("plain",))
    (track,) = tracks(case)
    assert track.distance(walk("diffgrad", track.p0, track.grads, case.lrs, fixed=1e-3, **case.options)) <= case.tolerance
    options = {"decay": optim.decay.Constant(1e-3), **case.options}
    paths = descend(lambda p: optim.create("diffgrad", p.values(), lr=1e-2, **options), track.p0, track.grads, case.lrs)
    assert track.distance(paths) <= case.tolerance


def test_slow_mix_refuses_a_moment_of_squares():
    with pytest.raises(ValueError, match=r"SlowMix: moment must be one of g, got Ema\(beta=0.9, of=square\) of square"):
        optim.moment.SlowMix(optim.moment.Ema(0.9, optim.moment.square))


def test_proximal_decay_shrinks_step_and_parameter():
    p = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    p.grad = torch.tensor([0.5], dtype=torch.float64)
    optim.create("sgd", [p], lr=0.1, decay=optim.decay.Proximal(30.0)).step()
    assert p.item() == pytest.approx((2.0 - 0.05) / 4.0, rel=1e-15)
