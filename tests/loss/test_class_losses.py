"""Losses of classes against NumPy in float64, item by item."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from danlu.loss import (
    SmoothAll,
    SmoothOthers,
    SoftMedian,
    bi_tempered,
    class_balanced_weights,
    cross_entropy,
    focal,
    logit_adjusted,
    soft_cross_entropy,
    z_loss,
)
from tests.golden.replay import load

K = 5


def drawn(seed, n=20):
    """Logits, classes with some -100, weights per class."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(n) < 0.3, -100, rng.integers(0, K, n))
    return rng.normal(0, 3, (n, K)), y, rng.uniform(0.1, 3, K)


def log_softmax(z):
    shifted = z - z.max()
    return shifted - np.log(np.exp(shifted).sum())


def met(found, total, count):
    assert float(found.total) == pytest.approx(total, rel=1e-12)
    assert float(found.count) == pytest.approx(count, rel=1e-12)


def tensors(*arrays):
    return [torch.as_tensor(a) for a in arrays]


@pytest.mark.parametrize("smoothing", [None, SmoothAll(0.0), SmoothAll(0.3), SmoothOthers(0.3), SmoothOthers(1 - 1 / K)])
@pytest.mark.parametrize("weighted", [False, True])
def test_smoothing_and_class_weights(smoothing, weighted):
    z, y, w = drawn(0)
    w = w if weighted else np.ones(K)
    total = count = 0.0
    for row, k in zip(z, y, strict=True):
        if k >= 0:
            q = np.zeros(K)
            if isinstance(smoothing, SmoothOthers):
                q[:] = smoothing.eps / (K - 1)
                q[k] = 1 - smoothing.eps
                # torch's weighting: the smooth share is weighted by class, the rest by the target's
                even = smoothing.eps * K / (K - 1)
            else:
                even = smoothing.eps if smoothing else 0.0
                q[:] = even / K
                q[k] += 1 - even
            plain = -(q * log_softmax(row)).sum()
            by_class = -((1 - even) * w[k] * log_softmax(row)[k] + even / K * (w * log_softmax(row)).sum())
            assert weighted or plain == pytest.approx(by_class, rel=1e-12)
            total += by_class
            count += w[k]
    z, y, w = tensors(z, y, w)
    met(cross_entropy(z, y, smoothing=smoothing, class_weights=w if weighted else None), total, count)


@pytest.mark.parametrize("weighted", [False, True])
def test_soft_targets(weighted):
    z, y, w = drawn(1)
    rng = np.random.default_rng(2)
    q, mask, w = rng.dirichlet(np.ones(K), len(z)), y >= 0, w if weighted else np.ones(K)
    soft = 0.8 * q + 0.2 / K
    total = -sum((w * soft[i] * log_softmax(z[i])).sum() for i in range(len(z)) if mask[i])
    count = sum((w * q[i]).sum() for i in range(len(z)) if mask[i])
    z, q, mask, w = tensors(z, q, mask, w)
    z[~mask], q[~mask] = torch.nan, torch.nan
    met(
        soft_cross_entropy(z, q, mask=mask, smoothing=SmoothAll(0.2), class_weights=w if weighted else None),
        total,
        count,
    )


def test_mixup_is_a_mixture_of_losses_and_one_hot_rows_are_classes():
    z, y, w = tensors(*drawn(3))
    a, b, lam = y.clamp_min(0), y.clamp_min(0).roll(1), 0.3
    one_hot = functional.one_hot(torch.stack([a, b]), K).double()
    mixed = soft_cross_entropy(z, one_hot[1].lerp(one_hot[0], lam), class_weights=w)
    pair = [cross_entropy(z, k, class_weights=w) for k in (a, b)]
    met(mixed, float(lam * pair[0].total + (1 - lam) * pair[1].total), float(lam * pair[0].count + (1 - lam) * pair[1].count))
    met(
        soft_cross_entropy(z, one_hot[0], smoothing=SmoothOthers(0.2)),
        float(cross_entropy(z, a, smoothing=SmoothOthers(0.2)).total),
        len(z),
    )


@settings(deadline=None, max_examples=20)
@given(classes=st.integers(2, 1000), eps=st.floats(0, 0.5), seed=st.integers(0, 99))
def test_the_two_smoothings_are_one_family(classes, eps, seed):
    """ε of all classes is ε·K/(K − 1) of the others', and back; what the law sees is the same number for both, 100x off."""
    draw = torch.Generator().manual_seed(seed)
    z, y = torch.randn(6, classes, generator=draw).double(), torch.randint(classes, (6,), generator=draw)
    others = cross_entropy(z, y, smoothing=SmoothOthers(eps)).total
    torch.testing.assert_close(
        cross_entropy(z, y, smoothing=SmoothAll(eps * classes / (classes - 1))).total, others, rtol=1e-12, atol=0
    )
    same_number = cross_entropy(z, y, smoothing=SmoothAll(eps)).total
    if eps > 1e-3 and classes < 100:
        assert abs(float(same_number - others)) > 1e-10 * abs(float(others))


def test_smoothing_stops_where_the_true_class_is_least():
    with pytest.raises(ValueError, match=r"eps must be at most 1 − 1/4, got 0.8; above it"):
        SmoothOthers(0.8).uniform(4)
    with pytest.raises(ValueError, match="with 1 class there are no others"):
        SmoothOthers(0.1).uniform(1)
    with pytest.raises(ValueError, match=r"SmoothAll: eps must be in \[0, 1\], got 1.1"):
        SmoothAll(1.1)
    assert all(
        SmoothOthers(1 - 1 / n).uniform(n) == pytest.approx(1.0) and SmoothOthers(1 - 1 / n).uniform(n) <= 1
        for n in range(2, 999)
    )


@pytest.mark.parametrize("source", ["torch", "optax"])
@pytest.mark.parametrize("eps", [0.1, 0.3])
def test_golden_smoothing_over_all_classes(source, eps):
    _, gold = load(f"B_label_smoothing_uniform__{source}.npz")
    _golden_items(gold, SmoothAll(eps), gold[f"loss_{eps}"])


@pytest.mark.parametrize("eps", [0.1, 0.3])
def test_golden_smoothing_over_the_others(eps):
    _, gold = load("B_label_smoothing_kminus1__seed000_formula.npz")
    _golden_items(gold, SmoothOthers(eps), gold[f"loss_{eps}"])
    _golden_items(gold, SmoothAll(float(gold[f"torch_eps_{eps}"])), gold[f"loss_via_torch_{eps}"])


def _golden_items(gold, smoothing, wanted):
    z, y = tensors(gold["z"], gold["y"])
    got = [float(cross_entropy(z[i], y[i], smoothing=smoothing).total) for i in range(len(y))]
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.3])
def test_golden_means_of_torch_and_timm(eps):
    _, gold = load("B_label_smoothing_uniform__torch.npz")
    z, y, ignoring, w = tensors(*(gold[key] for key in ("z", "y", "y_ign", "cw")))
    z.requires_grad_()
    mean = cross_entropy(z, y, smoothing=SmoothAll(eps)).mean
    np.testing.assert_allclose(torch.autograd.grad(mean, z)[0], gold[f"grad_{eps}"], atol=1e-14)
    assert cross_entropy(z, ignoring, smoothing=SmoothAll(eps)).mean.item() == pytest.approx(
        float(gold[f"ign_{eps}"]), rel=1e-12
    )
    weighted = cross_entropy(z, y, smoothing=SmoothAll(eps), class_weights=w)
    assert weighted.mean.item() == pytest.approx(float(gold[f"wmean_{eps}"]), rel=1e-12)
    if eps:
        _, timm = load("B_label_smoothing_uniform__timm.npz")
        assert mean.item() == pytest.approx(float(timm[f"mean_{eps}"]), rel=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal(gamma):
    z, y, w = drawn(4)
    total = 0.0
    for row, k in zip(z, y, strict=True):
        if k >= 0:
            p = np.exp(log_softmax(row)[k])
            total -= w[k] * (1 - p) ** gamma * np.log(p)
    z, y, w = tensors(z, y, w)
    met(focal(z, y, gamma=gamma, class_weights=w), total, float(w[y[y >= 0]].sum()))
    if not gamma:
        met(focal(z, y, gamma=gamma), float(cross_entropy(z, y).total), int((y >= 0).sum()))


def test_focal_of_certain_items_has_a_gradient():
    z = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    focal(z, torch.tensor([0, 0]), gamma=0.5).total.backward()
    assert z.grad.isfinite().all()
    assert z.grad[1, 0] == -1


@pytest.mark.parametrize("tau", [0.0, 1.0, 1.7])
def test_logit_adjustment(tau):
    z, y, counts = drawn(5)
    prior = counts / counts.sum()
    total = -sum(log_softmax(row + tau * np.log(prior))[k] for row, k in zip(z, y, strict=True) if k >= 0)
    z, y, counts = tensors(z, y, counts)
    found = logit_adjusted(z, y, counts, tau=tau)
    met(found, total, int((y >= 0).sum()))
    assert float(found.measures["accuracy"][0]) == float(cross_entropy(z, y).measures["accuracy"][0])


def test_logit_adjustment_makes_the_balanced_classifier_optimal():
    """Where frequent and rare items look alike, the minimiser's plain logits are even; cross-entropy's are not."""
    y, counts = torch.tensor([0] * 90 + [1] * 10), torch.tensor([90, 10])
    for loss, gap in ((lambda z: logit_adjusted(z, y, counts), 0.0), (lambda z: cross_entropy(z, y), math.log(9))):
        z = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([z], max_iter=50, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

        def closure(loss=loss, z=z, optimizer=optimizer):
            optimizer.zero_grad()
            mean = loss(z.expand(100, 2)).mean
            mean.backward()
            return mean

        optimizer.step(closure)
        assert float(z.detach()[0] - z.detach()[1]) == pytest.approx(gap, abs=1e-3)


def test_a_class_that_never_occurs_has_no_logit():
    with pytest.raises(ValueError, match="every frequency must be above 0"):
        logit_adjusted(torch.zeros(2, 2), torch.zeros(2).long(), torch.tensor([1, 0]))


def test_z_loss():
    z, y, _ = drawn(6)
    total = sum(np.log(np.exp(row).sum()) ** 2 for row, k in zip(z, y, strict=True) if k >= 0)
    z, y = tensors(z, y)
    met(z_loss(z, mask=y >= 0), total, int((y >= 0).sum()))


def tempered(z, k, t1, t2, eps):
    """The loss by bisection, and its gradient in the closed form of the authors' code."""

    def exp_t(x):
        return np.exp(x) if t2 == 1 else np.maximum(1 + (1 - t2) * x, 0) ** (1 / (1 - t2))

    def log_t(u):
        return np.log(u) if t1 == 1 else (u ** (1 - t1) - 1) / (1 - t1)

    low, high = z.max(), z.max() + 1.0
    while exp_t(z - high).sum() > 1:
        high += 2 * (high - low)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if exp_t(z - middle).sum() > 1 else (low, middle)
    p, q = exp_t(z - low), np.full(len(z), eps / len(z))
    q[k] += 1 - eps
    entropy = sum(x * log_t(x) for x in q if x)
    loss = entropy - (q * log_t(p)).sum() - ((q ** (2 - t1) - p ** (2 - t1)) / (2 - t1)).sum()
    forget = (p - q) * p ** (t2 - t1)
    escort = p**t2 / (p**t2).sum()
    return loss, forget - escort * forget.sum()


@pytest.mark.parametrize("t1", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("t2", [1.0, 1.2, 2.0, 4.0])
@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_bi_tempered(t1, t2, eps):
    z, y, _ = drawn(7)
    z[np.argmax(y >= 0)] *= 30  # one far out
    wanted = [tempered(row, k, t1, t2, eps) for row, k in zip(z, y, strict=True) if k >= 0]
    logits, target = tensors(z, y)
    logits.requires_grad_()
    found = bi_tempered(logits, target, t1=t1, t2=t2, smoothing=SmoothAll(eps))
    assert found.total.item() == pytest.approx(sum(loss for loss, _ in wanted), rel=1e-10)
    gradient = torch.autograd.grad(found.total, logits)[0].numpy()
    np.testing.assert_allclose(gradient[y >= 0], [g for _, g in wanted], atol=1e-10)
    assert not gradient[y < 0].any()


def test_bi_tempered_is_bounded_and_cross_entropy_is_its_limit():
    z, y = torch.tensor([[0.0, 1e4]]), torch.tensor([0])
    assert 4.9 < float(bi_tempered(z, y, t1=0.8, t2=1.0).total) <= 1 / (1 - 0.8)
    z, y, _ = tensors(*drawn(8))
    met(bi_tempered(z, y, t1=1.0, t2=1.0), float(cross_entropy(z, y).total), int((y >= 0).sum()))


@pytest.mark.parametrize("shift", [1e4, 1e7, -1e7])
def test_bi_tempered_does_not_see_a_constant_added_to_all_logits(shift):
    z, y = torch.arange(12.0).reshape(3, 4), torch.tensor([0, 1, 3])  # whole numbers: adding the constant is exact
    assert torch.equal(bi_tempered(z + shift, y).total, bi_tempered(z, y).total)


def test_bi_tempered_normalises_many_classes():
    """The worst case for the search: even logits, heavy tails, a vocabulary of classes, float32."""
    found = bi_tempered(torch.zeros(1, 50_000), torch.tensor([3]), t1=0.5, t2=4.0)
    u, n = (1 / 50_000) ** 0.5, 50_000
    assert float(found.total) == pytest.approx((1 - u) / 0.5 - (1 - n * (1 / n) ** 1.5) / 1.5, rel=1e-4)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999, 1 - 1e-9])
def test_class_balanced_weights(beta):
    n = np.array([5000, 100, 1, 0, 20])
    w = class_balanced_weights(torch.as_tensor(n), beta=beta).numpy()
    exact = np.array([sum(beta**i for i in range(k)) if k else np.inf for k in n])  # the effective number, as a sum
    np.testing.assert_allclose(w, (1 / exact) / (1 / exact[n > 0]).mean(), rtol=1e-9)
    assert w[3] == 0


@pytest.mark.parametrize("counts", [[0, 0], [3, -1], [[1, 2]]])
def test_class_balance_needs_counts(counts):
    with pytest.raises(ValueError, match="counts must be one number ≥ 0 per class"):
        class_balanced_weights(torch.tensor(counts))


X, Y = torch.zeros(4, 3), torch.zeros(4).long()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: cross_entropy(X, Y, class_weights=torch.ones(4)),
            ValueError,
            r"one number per class, shape \(3,\), got \(4,\)",
        ),
        (lambda: cross_entropy(X, Y, class_weights=torch.ones(3), reduce=SoftMedian()), ValueError, "ranks whole items"),
        (lambda: soft_cross_entropy(X, Y), TypeError, "use cross_entropy"),
        (lambda: soft_cross_entropy(X, X[:2]), ValueError, r"must both be \(…, K\)"),
        (lambda: soft_cross_entropy(X, X, mask=X > 0), ValueError, r"a mask \(…\), got \(4, 3\), \(4, 3\) and \(4, 3\)"),
        (lambda: focal(X, Y, gamma=-1.0), ValueError, "focal: gamma must be in"),
        (lambda: focal(X, X), TypeError, "focal: target must hold class numbers"),
        (lambda: logit_adjusted(X, Y, torch.ones(2)), ValueError, "frequency must be one number per class"),
        (lambda: logit_adjusted(X, Y, torch.ones(3), tau=-1.0), ValueError, "logit_adjusted: tau must be in"),
        (lambda: z_loss(X, mask=X > 0), ValueError, r"the mask must be \(4,\), one per item"),
        (lambda: bi_tempered(X, Y, t1=1.5), ValueError, r"bi_tempered: t1 must be in \[0, 1\], got 1.5"),
        (lambda: bi_tempered(X, Y, t2=0.5), ValueError, r"bi_tempered: t2 must be in \[1, 4\], got 0.5"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
