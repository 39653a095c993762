"""Robust means by rank: NumPy, SciPy's definitions, source 003's formula, and the laws of a location."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu.loss import SoftMedian, TrimmedMean, WinsorizedMean, item_weights
from tests.golden.replay import load

LAWS = [SoftMedian(0.1), SoftMedian(0.5), TrimmedMean(0.1, 0.3), WinsorizedMean(0.2, 0.1)]


def mean(law, x, present=None):
    return float(law(torch.as_tensor(x), None if present is None else torch.as_tensor(present)).mean)


def softly(x, tau):
    r = np.arange(len(x))
    w = np.exp(-np.abs(r - (len(x) - 1) / 2) / (tau * len(x)))
    return (w * np.sort(x)).sum() / w.sum()


def trimmed(x, low, high):
    n = len(x)
    return np.sort(x)[int(low * n + 1e-9) : n - int(high * n + 1e-9)].mean()


def winsorized(x, low, high):
    n, x = len(x), np.sort(x)
    first, last = int(low * n + 1e-9), n - int(high * n + 1e-9) - 1
    x[:first], x[last + 1 :] = x[first], x[last]
    return x.mean()


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 40), low=st.sampled_from([0, 0.1, 0.29]), high=st.sampled_from([0, 0.1, 0.7])
)
def test_the_means_meet_numpy(seed, n, low, high):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    assert mean(SoftMedian(0.05 + low), x) == pytest.approx(softly(x, 0.05 + low), rel=1e-11, abs=1e-12)
    assert mean(TrimmedMean(low, high), x) == pytest.approx(trimmed(x, low, high), rel=1e-11, abs=1e-12)
    assert mean(WinsorizedMean(low, high), x) == pytest.approx(winsorized(x, low, high), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_a_location_moves_and_scales_with_its_data(law, n):
    x = np.random.default_rng(n).exponential(size=n)
    found = mean(law, x)
    assert x.min() - 1e-12 <= found <= x.max() + 1e-12
    assert mean(law, 7 * x) == pytest.approx(7 * found, rel=1e-12)
    assert mean(law, x + 100) == pytest.approx(found + 100, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_the_limits_of_the_soft_median_are_median_and_mean(n):
    x = np.random.default_rng(n).normal(size=n)
    assert mean(SoftMedian(1e-6), x) == pytest.approx(np.median(x), rel=1e-12)
    assert mean(SoftMedian(1e9), x) == pytest.approx(x.mean(), rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 64])
def test_source_003_is_ours_of_items_and_a_zero_where_their_number_is_even(n):
    """At its temperature 1, which is 1/n of ours; without its zero an even number of items comes out larger."""
    _, gold = load("B_soft_median__seed003.npz")
    x, wanted = gold[f"x{n}"], float(gold[f"y{n}_T1"])
    padded = np.append(x, 0.0) if n % 2 == 0 else x
    assert mean(SoftMedian(1 / len(padded)), padded) == pytest.approx(wanted, rel=1e-12)
    if n % 2 == 0:
        assert mean(SoftMedian(1 / n), x) > wanted + 1e-3


def test_what_is_absent_has_no_rank():
    x = np.array([3.0, -9.0, 1.0, 2.0, -9.0, 8.0])
    present = x > -9
    for law in LAWS:
        assert mean(law, np.where(present, x, 0.0), present) == pytest.approx(mean(law, x[present]), rel=1e-12)


def test_a_gradient_is_its_weight():
    x = torch.tensor([5.0, 1.0, 3.0, 2.0, 4.0], dtype=torch.float64, requires_grad=True)
    TrimmedMean(0.2, 0.2)(x, None).mean.backward()
    assert x.grad.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 1 / 3])
    x.grad = None
    WinsorizedMean(0.2, 0.2)(x, None).mean.backward()
    assert x.grad.tolist() == pytest.approx([0, 0, 1 / 5, 2 / 5, 2 / 5])


def test_shares_are_meant_in_decimals():
    """29 of 100 are trimmed, not 28, in float32 too."""
    for share in range(1, 100):
        for dtype in (torch.float32, torch.float64):
            kept = (item_weights(TrimmedMean(0.0, share / 100), torch.rand(100, dtype=dtype), torch.ones(100).bool()) > 0).sum()
            assert kept == 100 - share


def test_a_nan_is_not_trimmed_away():
    assert np.isnan(mean(TrimmedMean(0.0, 0.5), np.array([1.0, 2.0, np.nan, 3.0])))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SoftMedian(0.0), "SoftMedian: tau must be in"),
        (lambda: TrimmedMean(0.5, 0.5), "TrimmedMean: low \\+ high must be below 1"),
        (lambda: WinsorizedMean(-0.1, 0.5), "WinsorizedMean: low must be in"),
    ],
)
def test_what_makes_no_mean_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
