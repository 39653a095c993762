"""Formulas that several pieces share, against NumPy; and what a piece takes over from the pieces inside it."""

import math

import numpy as np
import pytest
import torch

from danlu.optim import grad, modify, moment, rate
from danlu.optim.formulas.bias import adam_scale, corrections
from danlu.optim.formulas.norms import norm_squared, normalized, rms, shrinkage
from danlu.optim.formulas.rectification import rectification
from danlu.optim.values import Tick, found_under, under

EXACT = 1e-14
X = np.random.default_rng(0).normal(size=(3, 4))


@pytest.mark.parametrize("t", [1, 2, 50])
def test_a_corrected_average_of_ones_is_one(t):
    m = 0.0
    for _ in range(t):
        m = 0.9 * m + (1 - 0.9) * 1.0
    found = corrections(0.9**t)
    assert m * found["debias"] == pytest.approx(1.0, rel=1e-13)
    assert found["root_debias"] ** 2 == pytest.approx(found["debias"], rel=EXACT)
    assert corrections(0.0) == {"debias": 1.0, "root_debias": 1.0}


def test_adams_scale_is_both_corrections_of_one_quotient():
    want = corrections(0.9**7)["debias"] / corrections(0.99**7)["root_debias"]
    assert adam_scale(0.9, 0.99, 7) == pytest.approx(want, rel=EXACT)


@pytest.mark.parametrize(("threshold", "first"), [(4.0, 5), (5.0, 6)])
def test_rectification_sets_in_after_its_threshold_and_tends_to_one(threshold, first):
    found = [rectification(0.999, t, threshold) for t in range(1, 200)]
    assert all(r is None for r in found[: first - 1])
    assert all(r is not None for r in found[first - 1 :])
    assert np.all(np.diff(np.array(found[first - 1 :], dtype=float)) > 0)
    assert rectification(0.999, 100_000, threshold) == pytest.approx(1.0, abs=1e-6)


def test_rectification_at_one_step():
    """β₂ = 0.9 at t = 10: ρ∞ = 19."""
    rho = 19 - 20 * 0.9**10 / (1 - 0.9**10)
    want = math.sqrt((rho - 4) * (rho - 2) * 19 / (15 * 17 * rho))
    assert rectification(0.9, 10, 4.0) == pytest.approx(want, rel=EXACT)
    tick = Tick(10, 0.1, 0.1)
    assert rate.Rectify(0.9).factor(tick) == pytest.approx(want, rel=EXACT)
    assert modify.Rectify(0.9).scalars(tick) == {"adapted": pytest.approx(want, rel=EXACT), "plain": 0.0}


def test_before_its_threshold_the_rate_rests_and_the_direction_is_plain():
    tick = Tick(4, 0.1, 0.1)
    assert rate.Rectify(0.999).factor(tick) == 0.0
    assert modify.Rectify(0.999).scalars(tick) == {"adapted": 0.0, "plain": 1.0}
    assert modify.Rectify(0.999, unadapted=False).scalars(tick) == {"adapted": 0.0, "plain": 0.0}


def test_sizes_and_what_bounds_them():
    x = torch.tensor(X)
    assert norm_squared(x).item() == pytest.approx(np.sum(X**2), rel=EXACT)
    assert rms(x).item() == pytest.approx(np.sqrt(np.mean(X**2)), rel=EXACT)
    assert shrinkage(torch.tensor(4.0), 3.0).item() == 0.75
    assert [shrinkage(torch.tensor(size), 3.0).item() for size in (2.0, 0.0)] == [1.0, 1.0]


def test_one_length_for_all_or_one_along_a_dimension():
    x = torch.tensor(X)
    assert np.abs(normalized(x, 0.5).numpy() - X / (np.linalg.norm(X) + 0.5)).max() <= EXACT
    rows = X / (np.linalg.norm(X, axis=1, keepdims=True) + 0.5)
    assert np.abs(normalized(x, 0.5, dim=1).numpy() - rows).max() <= EXACT


def test_the_squared_norm_is_a_wide_number():
    """A sum over tensors in float32 would lose the small ones."""
    assert norm_squared(torch.ones(3, dtype=torch.bfloat16)).dtype == torch.float64


def test_a_part_finds_its_numbers_again():
    own = {"new": 0.1, "debias": 2.0}
    assert found_under("mean", {"new": 0.5, "meaning": 1.0, **under("mean", own)}) == own


LEAD = moment.Lead(moment.Ema(0.9, debias=False), 0.9)


@pytest.mark.parametrize(
    "holder",
    [
        moment.Centered(moment.Ema(0.9, moment.square), LEAD),
        moment.SlowMix(LEAD),
        moment.AdaNorm(LEAD),
        modify.Smooth(LEAD),
        modify.Confidence(LEAD, moment.Ema(0.9, moment.square)),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_a_piece_keeps_the_host_numbers_of_the_pieces_inside_it(holder):
    tick = Tick(3, 0.1, 0.1, memory={"mu_product": 0.25})
    assert holder.memory() == LEAD.memory() == {"mu_product": 1.0}
    assert holder.remember(tick) == LEAD.remember(tick)
    assert LEAD.remember(tick)["mu_product"] < 0.25


def test_clipping_by_rms_is_the_same_for_gradients_and_updates():
    g = torch.tensor(X)
    clipped = grad.ClipBlockRms(0.3)(g, None, {"max_rms": 0.3})
    assert torch.equal(clipped, modify.RmsClip(0.3)(g, None, {"threshold": 0.3}))
    assert rms(clipped).item() == pytest.approx(0.3, rel=EXACT)
