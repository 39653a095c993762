"""Adaptive memory momentum: oracles meet golden data, presets meet both, and a held β gives the rules they come from."""

import numpy as np
import pytest
import torch

from danlu import optim
from tests.golden.cases import Case
from tests.golden.replay import descend, gap, tracks
from tests.papers.adam import adamw
from tests.papers.adaptive_memory import am_adamw, am_sgd
from tests.papers.problem import problem

EXACT = 1e-12
CASES = [
    Case("A_am_sgd__specref.npz", "am_sgd", {}, 1e-2, EXACT, ("plain", "edge")),
    Case("A_am_adamw__specref.npz", "am_adamw", {"weight_decay": 0.05}, 1e-2, EXACT, ("plain", "edge")),
]
SETS = [
    ("am_sgd", {}),
    ("am_sgd", {"beta_max": 0.5, "weight_decay": 0.1, "pull": 0.5}),
    ("am_adamw", {}),
    ("am_adamw", {"betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1, "pull": 0.5}),
]


def oracle(name, p0, grads, lrs, options):
    if name == "am_sgd":
        return am_sgd(p0, grads, lrs, **options)
    return {n: am_adamw(p0[n], grads[n], lrs, **options) for n in p0}


def walk(name, p0, grads, lrs, **options):
    return descend(lambda params: optim.create(name, params.values(), lr=lrs[0], **options), p0, grads, lrs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_oracle_and_preset_meet_golden(case):
    for track in tracks(case):
        assert track.distance(oracle(case.preset, track.p0, track.grads, case.lrs, case.options)) <= case.tolerance
        assert track.distance(walk(case.preset, track.p0, track.grads, case.lrs, **case.options)) <= case.tolerance
        assert track.distance({n: [p] * len(case.lrs) for n, p in track.p0.items()}) >= 1e3 * case.tolerance


@pytest.mark.parametrize(("name", "options"), SETS, ids=str)
def test_preset_meets_its_oracle(name, options):
    p0, grads, lrs = problem(seed=4)
    steady = {n: g + 3.0 for n, g in grads.items()}  # and gradients that agree, so that β is inside its bounds
    for given in (grads, steady):
        assert gap(walk(name, p0, given, lrs, **options), oracle(name, p0, given, lrs, options)) <= EXACT


def test_memory_without_pull_and_bound_is_none():
    """β_max = λ = 0: every step is the gradient's."""
    p0, grads, lrs = problem(seed=5)
    assert gap(walk("am_sgd", p0, grads, lrs, beta_max=0.0, pull=0.0), walk("sgd", p0, grads, lrs)) <= EXACT


def test_a_held_beta_is_adamw():
    """β_max = 0 holds β at 0: AdamW without a first moment."""
    p0, grads, lrs = problem(seed=6)
    options = {"betas": (0.0, 0.99), "weight_decay": 0.1}
    want = {n: adamw(p0[n], grads[n], lrs, **options) for n in p0}
    assert gap(walk("am_adamw", p0, grads, lrs, **options, pull=0.0), want) <= EXACT


def test_one_beta_for_the_model_and_one_per_tensor():
    """Another tensor changes am_sgd's path of the first one, and leaves am_adamw's alone."""
    p0, grads, lrs = problem(seed=7)
    steady = {n: g + 3.0 for n, g in grads.items()}
    alone = {n: {n: p0[n]} for n in p0}
    for name, apart in (("am_sgd", True), ("am_adamw", False)):
        together = walk(name, p0, steady, lrs)
        single = {n: walk(name, alone[n], {n: steady[n]}, lrs)[n] for n in p0}
        assert (gap(single, together) >= 1e-4) is apart


def test_nothing_breaks_at_lr_zero_or_with_a_constant_gradient():
    for name in ("am_sgd", "am_adamw"):
        p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
        optimizer = optim.create(name, [p], lr=0.0)
        for lr in (0.0, 0.1, 0.0, 0.1):
            optimizer.param_groups[0]["lr"] = lr
            p.grad = torch.ones_like(p)
            optimizer.step()
        assert np.isfinite(p.detach().numpy()).all()
        assert p[0] < 1.0
