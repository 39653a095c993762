"""Constrained regularisation and the spectral bound: golden data, oracles, and what the bounds promise."""

import numpy as np
import pytest
import torch

from danlu import optim
from tests.golden.cases_constrained import CPR, SPECTRAL
from tests.golden.replay import descend, gap, tracks
from tests.papers.constrained import SIZES, adam_cpr, spectral_adamw
from tests.papers.problem import PEAK, problem

EXACT = 1e-12
BASE = {"betas": (0.8, 0.95), "eps": 1e-3, "kappa_update": 0.3}
SETS = [
    {},
    {**BASE, "norm": "l2", "start": "inflection", "every": 2, "kappa": 0.5, "amsgrad": True},
    {**BASE, "norm": "l1", "start": "warm_start", "warmup": 3, "kappa": 0.9},
    {**BASE, "norm": "std", "start": "dependent", "kappa": 0.9},
    {**BASE, "norm": "huber", "start": "uniform", "kappa": 0.2},
    {**BASE, "norm": "l2", "start": "dependent", "kappa": 0.0, "kappa_update": 3.0},
    *({**BASE, "norm": norm, "start": "uniform", "kappa": 0.1, "overshoot": True} for norm in ("l1", "huber", "std")),
]


@pytest.mark.parametrize("case", CPR, ids=lambda case: case.file)
def test_cpr_meets_golden(case):
    for track in tracks(case):
        oracle = {n: adam_cpr(p, track.grads[n], case.lrs, **case.options) for n, p in track.p0.items()}
        assert track.distance(oracle) <= case.tolerance, track.name
        paths = descend(
            lambda params: optim.create(case.preset, params.values(), lr=case.lr, **case.options),
            track.p0,
            track.grads,
            case.lrs,
        )
        assert track.distance(paths) <= case.tolerance, track.name
        off = {n: adam_cpr(p, track.grads[n], case.lrs, **{**case.options, "kappa_update": 0.0}) for n, p in track.p0.items()}
        assert track.distance(off) >= 100 * case.tolerance, "the constraint is seen"


@pytest.mark.parametrize("options", SETS, ids=lambda x: "-".join(map(str, x.values())) or "defaults")
def test_cpr_meets_its_oracle(options):
    p0, grads, lrs = problem(seed=4)
    paths = descend(lambda params: optim.create("adam_cpr", params.values(), lr=PEAK, **options), p0, grads, lrs)
    assert gap(paths, {n: adam_cpr(p0[n], grads[n], lrs, **options) for n in p0}) <= EXACT


def test_cpr_options_and_defaults_are_the_papers():
    ours = {key: default for key, (_, default) in optim.preset("adam_cpr").options.items()}
    assert {key for options in SETS for key in options} == ours.keys()
    p0, grads, lrs = problem(seed=3)
    one, other = ({n: adam_cpr(p0[n], grads[n], lrs, **options) for n in p0} for options in (ours, {}))
    assert gap(one, other) == 0.0


@pytest.mark.parametrize("norm", ["l2", "l1", "std", "huber"])
def test_the_constraint_pulls_each_tensor_to_its_bound(norm):
    """Without gradients the size ends at the bound, and one that is below it stays what it was."""
    rng = np.random.default_rng(1)
    p0 = {"above": rng.normal(size=(6, 5)), "below": 0.01 * rng.normal(size=(6, 5))}
    still = {n: np.zeros((600, 6, 5)) for n in p0}
    decay = optim.decay.Constrained(0.5, norm, "uniform", rate=0.02)
    paths = descend(lambda params: optim.create("sgd", params.values(), decay=decay), p0, still, [0.1] * 600)
    assert SIZES[norm](paths["above"][-1]) <= 0.5 * 1.02
    assert np.array_equal(paths["below"][-1], p0["below"])


def test_rate_zero_is_no_constraint():
    p0, grads, lrs = problem(seed=5)
    decay = optim.decay.Constrained(0.1, start="dependent", rate=0.0)
    walks = [
        descend(lambda params, d=d: optim.create("sgd", params.values(), lr=PEAK, decay=d), p0, grads, lrs)
        for d in (decay, None)
    ]
    assert gap(*walks) == 0.0


@pytest.mark.parametrize("tau", SPECTRAL)
def test_spectral_bound_meets_golden(tau):
    case = SPECTRAL[tau]
    bound = optim.modify.SpectralBound(tau, iterations=300)
    for track in tracks(case):
        oracle = {n: spectral_adamw(p, track.grads[n], case.lrs, tau=tau, **case.options) for n, p in track.p0.items()}
        assert track.distance(oracle) <= case.tolerance, track.name
        paths = descend(
            lambda params: optim.create("adamw", params.values(), lr=case.lr, modify=bound, **case.options),
            track.p0,
            track.grads,
            case.lrs,
        )
        assert track.distance(paths) <= 1e-9, track.name  # where two singular values are near, 300 rounds are not the limit


def test_spectral_bound_meets_its_oracle():
    p0, grads, lrs = problem(seed=6)
    options = {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}
    bound = optim.modify.SpectralBound(0.005, iterations=2000)
    paths = descend(lambda params: optim.create("adamw", params.values(), lr=PEAK, modify=bound, **options), p0, grads, lrs)
    want = {n: spectral_adamw(p0[n], grads[n], lrs, tau=0.005, **options) for n in p0}
    assert gap(paths, want) <= EXACT


def test_two_rounds_per_step_keep_the_promise():
    """The vectors go on from step to step: after a few, no step changes σ₁ by more than the bound and a little."""
    torch.manual_seed(0)
    p = torch.nn.Parameter(torch.randn(20, 10))
    optimizer = optim.create("adamw", [p], lr=0.1, modify=optim.modify.SpectralBound(0.01))
    changes = []
    for _ in range(60):
        before = p.detach().clone()
        p.grad = 0.1 * torch.randn(20, 10) + 1.0
        optimizer.step()
        step = torch.linalg.matrix_norm(p.detach() - before, 2) / torch.linalg.matrix_norm(before, 2)
        changes.append(step.item())
    assert max(changes[10:]) <= 0.012
    assert min(changes[10:]) >= 0.008


def test_a_zero_matrix_is_not_frozen_by_the_spectral_bound():
    p0, grads = {"p": np.zeros((3, 4))}, {"p": np.ones((2, 3, 4))}
    bound = optim.modify.SpectralBound()
    path = descend(lambda params: optim.create("adamw", params.values(), modify=bound), p0, grads, [0.1] * 2)["p"]
    assert path[0] == pytest.approx(np.full((3, 4), -0.1))
