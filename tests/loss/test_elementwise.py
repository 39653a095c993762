"""Losses of elements against NumPy in float64 and torch."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from danlu.loss import TrimmedMean, binary_cross_entropy, binary_focal, huber, mean_squared_error

RNG = np.random.default_rng(0)
Z, T, MASK = RNG.normal(0, 3, (6, 4)), RNG.integers(0, 2, (6, 4)).astype(float), RNG.random((6, 4)) < 0.6


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def squared(z, t):
    return (z - t) ** 2


def bent(z, t):
    d = np.abs(z - t)
    return np.where(d <= 0.7, d**2 / 2, 0.7 * (d - 0.35))


def binary(z, t):
    t = 0.8 * t + 0.1
    return -t * np.log(sigmoid(z)) - (1 - t) * np.log(1 - sigmoid(z))


def focal(z, t):
    p = np.where(t == 1, sigmoid(z), 1 - sigmoid(z))
    return -np.where(t == 1, 0.3, 0.7) * (1 - p) ** 1.5 * np.log(p)


CASES = [
    (mean_squared_error, {}, squared),
    (huber, {"delta": 0.7}, bent),
    (binary_cross_entropy, {"smoothing": 0.2}, binary),
    (binary_focal, {"gamma": 1.5, "alpha": 0.3}, focal),
]


@pytest.mark.parametrize(("loss", "options", "oracle"), CASES)
def test_elements_meet_numpy_masked_and_not(loss, options, oracle):
    items, (z, t, mask) = oracle(Z, T), map(torch.as_tensor, (Z, T, MASK))
    found = loss(z, t, **options)
    assert (float(found.total), found.count) == (pytest.approx(items.sum(), rel=1e-12), items.size)
    z, t = (torch.where(mask, x, torch.nan) for x in (z, t))
    found = loss(z, t, mask=mask, **options)
    assert (float(found.total), int(found.count)) == (pytest.approx(items[MASK].sum(), rel=1e-12), MASK.sum())


@pytest.mark.parametrize(("loss", "options", "oracle"), CASES)
def test_items_of_a_robust_mean_are_elements(loss, options, oracle):
    items = np.sort(oracle(Z, T)[MASK])
    found = loss(*map(torch.as_tensor, (Z, T)), mask=torch.as_tensor(MASK), reduce=TrimmedMean(0.0, 0.25), **options)
    assert float(found.mean) == pytest.approx(items[: len(items) - int(0.25 * len(items))].mean(), rel=1e-12)


@pytest.mark.parametrize("loss", [binary_cross_entropy, binary_focal])
def test_large_logits_lose_nothing(loss):
    z = torch.tensor([-300.0, 300.0, 300.0], requires_grad=True)
    found = loss(z, torch.tensor([1.0, 1.0, 0.0]))
    found.total.backward()
    assert float(found.total.detach()) == pytest.approx(600 if loss is binary_cross_entropy else 300 * (0.25 + 0.75))
    assert z.grad.isfinite().all()


def test_booleans_are_targets():
    z, t = torch.as_tensor(Z), torch.as_tensor(T)
    for loss in (binary_cross_entropy, binary_focal):
        assert torch.equal(loss(z, t.bool()).total, loss(z, t).total)


def test_binary_is_torch():
    z, t = torch.as_tensor(Z), torch.as_tensor(T)
    wanted = functional.binary_cross_entropy_with_logits(z, t)
    torch.testing.assert_close(binary_cross_entropy(z, t).mean, wanted, rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: huber(torch.zeros(3), torch.zeros(3), delta=0.0), "huber: delta must be in"),
        (lambda: huber(torch.zeros(3), torch.zeros(3, 1)), r"one shape, got \(3,\) and \(3, 1\)"),
        (lambda: binary_cross_entropy(torch.zeros(3), torch.zeros(3), smoothing=2.0), "smoothing must be in"),
        (lambda: binary_focal(torch.zeros(3), torch.zeros(3), alpha=2.0), "alpha must be in"),
        (lambda: mean_squared_error(torch.zeros(3), torch.zeros(3), mask=torch.ones(1)), "mask.expand_as"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
