import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu.loss import cross_entropy


def oracle(z, y, ignored):
    """Sum, count, hits and gradient in NumPy, item by item."""
    z, y = z.reshape(-1, z.shape[-1]), y.reshape(-1)
    total, count, hits, gradient = 0.0, 0, 0, np.zeros_like(z)
    for i in range(len(y)):
        if y[i] != ignored:
            p = np.exp(z[i] - z[i].max()) / np.exp(z[i] - z[i].max()).sum()
            total -= np.log(p[y[i]])
            count += 1
            hits += int(z[i].argmax() == y[i])
            gradient[i] = p - np.eye(len(p))[y[i]]
    return total, count, hits, gradient


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from([(), (6,), (3, 4), (2, 3, 2), (0,)]),
    ignored=st.sampled_from([-100, 0, 2]),
    masked=st.sampled_from([0.0, 0.4, 1.0]),
)
def test_sum_count_accuracy_and_gradient_meet_the_oracle(seed, shape, ignored, masked):
    rng = np.random.default_rng(seed)
    z, y = rng.normal(0, 3, (*shape, 5)), rng.integers(0, 5, shape)
    y = np.where(rng.random(shape) < masked, ignored, y)
    total, count, hits, gradient = oracle(z, y, ignored)
    logits = torch.tensor(z, requires_grad=True)
    got = cross_entropy(logits, torch.as_tensor(y), ignore_index=ignored)
    got.total.backward()
    assert got.total.item() == pytest.approx(total, rel=1e-12, abs=1e-12)
    assert int(got.count) == count
    assert tuple(map(int, got.measures["accuracy"])) == (hits, count)
    np.testing.assert_allclose(logits.grad.numpy().reshape(gradient.shape), gradient, atol=1e-12)


def test_all_ignored_is_zero_with_zero_gradient():
    logits = torch.randn(4, 3, requires_grad=True)
    got = cross_entropy(logits, torch.full((4,), -100))
    got.total.backward()
    assert (got.total.item(), int(got.count)) == (0.0, 0)
    assert torch.equal(logits.grad, torch.zeros(4, 3))


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.randn(2000, 10).bfloat16()
    target = torch.arange(2000) % 10
    got, wanted = cross_entropy(logits, target), cross_entropy(logits.double(), target)
    assert got.total.dtype == torch.float32
    assert float(got.total) == pytest.approx(float(wanted.total), rel=1e-5)  # a bfloat16 sum is off by up to 4e-3


@pytest.mark.parametrize(
    ("logits", "target", "error", "words"),
    [
        (torch.zeros(4, 3), torch.zeros(3).long(), ValueError, r"\(…, K\) and target \(…\), got logits \(4, 3\)"),
        (torch.zeros(2, 3, 8), torch.zeros(2, 8).long(), ValueError, "K is the last dimension"),
        (torch.zeros(4, 3), torch.zeros(4), TypeError, "must hold class numbers"),
    ],
)
def test_what_does_not_fit_is_refused(logits, target, error, words):
    with pytest.raises(error, match=words):
        cross_entropy(logits, target)
