"""AdaLo: the oracle meets golden data, the preset meets both, and a step without a loss is refused."""

import math

import numpy as np
import pytest
import torch

from danlu import optim
from tests.golden.cases_adalo import CASES
from tests.golden.replay import descend, gap, load, tracks
from tests.papers.adalo import adalo
from tests.papers.problem import problem

EXACT = 1e-12
LOSSES = np.array([2.0, 0.5, 30.0, 0.0, -0.5, 1.0, 1e4, 0.1, 3.0, 2.0, 1.0, 0.0, 0.2, 7.0])


def walk(p0, grads, lrs, losses, **options):
    return descend(lambda params: optim.create("adalo", params.values(), **options), p0, grads, lrs, losses)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_oracle_and_preset_meet_golden(case):
    losses = load("A__problems.npz")[1]["losses"]
    for track in tracks(case):
        papers = {n: adalo(p, track.grads[n], case.lrs, losses=losses, **case.options) for n, p in track.p0.items()}
        assert track.distance(papers) <= case.tolerance
        assert track.distance(walk(track.p0, track.grads, case.lrs, losses, **case.options)) <= case.tolerance
        assert track.distance({n: [p] * len(case.lrs) for n, p in track.p0.items()}) >= 1e3 * case.tolerance


@pytest.mark.parametrize("mode", ["adversarial", "compliant", "linear"])
@pytest.mark.parametrize("options", [{}, {"betas": (0.5, 0.8), "weight_decay": 0.1, "kappa": 1.0, "eps": 0.3}], ids=str)
def test_preset_meets_its_oracle(mode, options):
    p0, grads, lrs = problem(seed=4)
    want = {n: adalo(p0[n], grads[n], lrs, losses=LOSSES, mode=mode, **options) for n in p0}
    assert gap(walk(p0, grads, lrs, LOSSES, mode=mode, **options), want) <= EXACT


@pytest.mark.parametrize("name", [name for name in optim.presets() if "loss" in optim.preset(name)().needs])
def test_a_step_without_a_loss_is_refused_and_changes_nothing(name):
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = optim.create(name, [p])
    p.grad = torch.ones(3)
    with pytest.raises(ValueError, match=rf"{name}: this rule reads the loss: call step\(loss="):
        optimizer.step()
    assert p.tolist() == [1.0, 1.0, 1.0]
    assert not optimizer.state


def test_no_loss_breaks_the_rate():
    """A loss of −1 and below, where the source's logarithm is nan, and one that is not finite."""
    p0, grads, lrs = problem(seed=5, steps=4)
    for losses in ([-1.0, -5.0, 1.0, 1.0], [math.nan, math.inf, 1.0, 1.0]):
        path = walk(p0, grads, lrs, losses)
        assert all(np.isfinite(p).all() for rows in path.values() for p in rows)


def test_a_loss_that_is_not_finite_leaves_the_average_as_it_was():
    p = torch.nn.Parameter(torch.ones(2))
    optimizer = optim.AdaLo([p], betas=(0.9, 0.5))
    seen = []
    for loss in (1.0, math.nan, math.inf):
        p.grad = torch.ones(2)
        optimizer.step(loss=loss)
        seen.append(optimizer.param_groups[0]["shared"]["loss_avg"])
    assert seen == [0.5 / 3] * 3


def test_the_loss_average_is_one_number_that_survives_a_checkpoint():
    def run(optimizer, p, losses):
        for k, loss in enumerate(losses):
            p.grad = torch.full_like(p, 1.0 + k)
            optimizer.step(loss=loss)

    p, q = (torch.nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    whole, half = optim.AdaLo([p]), optim.AdaLo([q])
    run(whole, p, [1.0, 2.0])
    run(half, q, [1.0, 2.0])
    resumed = optim.AdaLo([q])
    with pytest.warns(UserWarning, match="by position"):
        resumed.load_state_dict(half.state_dict())
    assert resumed.param_groups[0]["shared"] == whole.param_groups[0]["shared"]
    run(whole, p, [0.5])
    run(resumed, q, [0.5])
    assert torch.equal(p, q)
