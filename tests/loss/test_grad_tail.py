"""GradTail against NumPy, with per-item gradients written out."""

import numpy as np
import pytest
import torch

from danlu.loss import GradTail, cross_entropy

K, D, OPTIONS = 4, 3, {"amplitude": 2.0, "pivot": 0.1, "width": 0.7, "beta": 0.8}


def windows(n=5):
    draw = torch.Generator().manual_seed(0)
    for _ in range(n):
        h = torch.randn(12, D, generator=draw, dtype=torch.float64)
        y = torch.randint(K, (12,), generator=draw)
        y[::5] = -100
        yield torch.randn(12, K, generator=draw, dtype=torch.float64), h, y


def oracle(data):
    """Σ w·CE, Σ w and w of each window."""
    direction = mean = variance = None
    for z, h, y in data:
        z, h, y = z.numpy(), h.numpy(), y.numpy()
        valid = np.flatnonzero(y >= 0)
        p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
        gradients = [np.outer(p[i] - np.eye(K)[y[i]], h[i]) for i in valid]
        w, cosines = np.ones(len(valid)), None
        if direction is not None:
            cosines = np.array([(g * direction).sum() / np.linalg.norm(g) / np.linalg.norm(direction) for g in gradients])
        if mean is not None:
            w = 1 + 2.0 * np.exp(-(((cosines - 0.1) / np.sqrt(variance)) ** 2) / (2 * 0.7**2))
        yield -(w * np.log(p[valid, y[valid]])).sum(), w.sum(), w
        if cosines is not None:
            fresh = (cosines.mean(), cosines.var())
            mean, variance = fresh if mean is None else (0.8 * mean + 0.2 * fresh[0], 0.8 * variance + 0.2 * fresh[1])
        now = np.mean(gradients, 0)
        direction = now if direction is None else 0.8 * direction + 0.2 * now


@pytest.mark.parametrize("sizes", [[12], [5, 0, 7]])
def test_weights_meet_numpy_however_the_window_is_cut(sizes):
    tail, data, spread = GradTail(**OPTIONS), list(windows()), []
    for window, (total, count, w) in zip(data, oracle(data), strict=True):
        found = [tail(*part) for part in zip(*(t.split(sizes) for t in window), strict=True)]
        whole = sum(found[1:], found[0])
        assert float(whole.total) == pytest.approx(total, rel=1e-12)
        assert float(whole.count) == pytest.approx(count, rel=1e-12)
        assert float(whole.measures["weight"][1]) == len(w)
        tail.advance()
        spread.append(np.ptp(w))
    assert spread[:2] == [0, 0]
    assert min(spread[2:]) > 0.5


def test_the_gradient_is_the_weighted_mean_of_cross_entropy():
    tail, *_ = taught()
    z, h, y = next(windows())
    z.requires_grad_()
    (got,) = torch.autograd.grad(tail(z, h, y).total, z)
    (plain,) = torch.autograd.grad(cross_entropy(z, y).total, z)
    valid = y >= 0
    ratio = (got / plain)[valid]
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert (ratio >= 1 - 1e-12).all()
    assert (ratio <= 3).all()
    assert not got[~valid].any()


def taught():
    tail = GradTail(**OPTIONS)
    data = list(windows())
    for window in data[:3]:
        tail(*window)
        tail.advance()
    return tail, data


def test_state_goes_on_and_traces_are_only_of_training():
    tail, data = taught()
    again = GradTail(**OPTIONS)
    again.load_state_dict(tail.state_dict())
    again(*data[0])
    again.discard()
    with torch.no_grad():
        again(*data[0])
    for each in (tail, again):
        each(*data[3])
        each.advance()
    assert torch.equal(tail(*data[4]).total, again(*data[4]).total)
    tail.reset()
    assert tail.state_dict() == {"direction": None, "cosine": None}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_state_from_the_cpu_goes_on_on_a_gpu():
    (here, data), there = taught(), GradTail(**OPTIONS)
    there.load_state_dict(here.state_dict())
    for tail, device in ((here, "cpu"), (there, "cuda")):
        tail(*(x.to(device) for x in data[3]))
        tail.advance()
    torch.testing.assert_close(there.state_dict()["direction"].cpu(), here.state_dict()["direction"])


def test_amplitude_0_is_cross_entropy():
    tail = GradTail(amplitude=0.0)
    for z, h, y in windows(3):
        assert float(tail(z, h, y).mean) == pytest.approx(float(cross_entropy(z, y).mean), rel=1e-14)
        tail.advance()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"features must be \(…, D\)"):
        GradTail()(torch.zeros(4, 3), torch.zeros(3, 2), torch.zeros(4).long())
    with pytest.raises(ValueError, match="GradTail: width must be in"):
        GradTail(width=0.0)
