import json

import numpy as np
import pytest
import torch

from danlu.data import Cutmix, Mixed, Mixup
from danlu.data.mix import blend, paste
from danlu.keyed import generator
from tests.golden.replay import HERE

from .samples import pictures

GOLDEN = np.load(HERE / "B_mixup_cutmix__timm.npz")


def labels(n=12):
    return torch.arange(n)


def test_mixup_is_timms():
    """Their partner is the batch in reverse order."""
    x, y = torch.from_numpy(GOLDEN["x"]), torch.from_numpy(GOLDEN["y"])
    weight = json.loads(str(GOLDEN["meta"]))["hyper"]["lam"]
    mixed = Mixed(blend(x, x.flip(0), weight), y, y.flip(0), weight)
    torch.testing.assert_close(mixed.inputs, torch.from_numpy(GOLDEN["mixup_x"]), rtol=0, atol=1e-12)
    q = mixed.soft(5)
    torch.testing.assert_close(q, torch.from_numpy(GOLDEN["mixup_t_smooth0"]), rtol=0, atol=1e-7)
    smooth = 0.9 * q + 0.1 / 5  # smoothing after mixing is smoothing before it
    torch.testing.assert_close(smooth, torch.from_numpy(GOLDEN["mixup_t_smooth0.1"]), rtol=0, atol=1e-7)


@pytest.mark.parametrize("k", range(5))
def test_cutmix_is_timms(k):
    x = torch.from_numpy(GOLDEN["x"])
    images, weight = paste(x, x.flip(0), tuple(GOLDEN[f"bbox_{k}"].tolist()))
    assert torch.equal(images, torch.from_numpy(GOLDEN[f"cutmix_x_{k}"]))
    assert weight == float(GOLDEN[f"cutmix_lam_{k}"])


@pytest.mark.parametrize("way", [Mixup(1.0), Cutmix(1.0)])
def test_a_mixture_is_a_pure_function_and_its_parts_can_be_told(way):
    x, y = pictures(), labels()
    state = torch.get_rng_state()
    for seed in range(8):
        mixed, again = way(x, y, generator(seed)), way(x, y, generator(seed))
        assert torch.equal(mixed.inputs, again.inputs)
        assert (mixed.weight, mixed.partners.tolist()) == (again.weight, again.partners.tolist())
        assert torch.equal(mixed.targets, y)
        assert sorted(mixed.partners.tolist()) == y.tolist()
        other, w = x[mixed.partners], mixed.weight
        assert 0 <= w <= 1
        if isinstance(way, Mixup):
            assert torch.equal(mixed.inputs, w * x + (1 - w) * other)
        else:  # what is the partner's is a box with the part 1 − λ of the area
            foreign = (mixed.inputs != x).any(1).any(0)
            assert torch.equal(torch.where(foreign, other, x), mixed.inputs)
            rows, columns = foreign.any(1), foreign.any(0)
            assert torch.equal(foreign, rows[:, None] & columns)
            assert float(foreign.double().mean()) == pytest.approx(1 - w, abs=1e-12)
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_are_beta_distributed():
    """Mean ½ and variance 1/(4(2α + 1)), within five standard deviations."""
    x, n = torch.zeros(1, 1), 2000
    for alpha in (0.2, 1.0):
        w = torch.tensor([Mixup(alpha)(x, x, generator(alpha > 0.5, k)).weight for k in range(n)], dtype=torch.float64)
        variance = 1 / (4 * (2 * alpha + 1))
        assert abs(float(w.mean()) - 0.5) < 5 * (variance / n) ** 0.5
        assert abs(float(w.var()) / variance - 1) < 5 * (2 / n) ** 0.5


@pytest.mark.parametrize("way", [Mixup(1.0, probability=0.0), Cutmix(1.0, probability=0.0)])
def test_off_is_off(way):
    x, y = pictures(), labels()
    mixed = way(x, y, generator(0))
    assert torch.equal(mixed.inputs, x)
    assert mixed.weight == 1.0


@pytest.mark.parametrize("way", [Mixup, Cutmix])
def test_what_cannot_be_is_refused(way):
    with pytest.raises(ValueError, match=rf"{way.__name__}: alpha must be in \(0, inf\), got 0"):
        way(0.0)
    with pytest.raises(ValueError, match=r"Cutmix: takes a batch of images \(N, C, H, W\), got shape \[3, 4\]"):
        Cutmix()(torch.rand(3, 4), labels(3), generator(0))
