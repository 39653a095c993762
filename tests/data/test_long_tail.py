import math

import pytest
import torch

from danlu.data import Augmented, TensorLoader, balancing_weights, image, long_tailed
from danlu.data.order import order, times_before

LABELS = torch.tensor([0] * 100 + [1] * 25 + [2] * 4)[torch.randperm(129, generator=torch.Generator().manual_seed(0))]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_a_class_is_drawn_in_proportion_to_a_power_of_its_size(power):
    weights = balancing_weights(LABELS, power=power)
    share = torch.tensor([float(weights[k == LABELS].sum()) for k in range(3)])
    expected = torch.tensor([100.0**power, 25.0**power, 4.0**power])
    torch.testing.assert_close(share / share.sum(), expected / expected.sum())
    n, counts = 0, torch.zeros(3)
    for epoch in range(40):
        (found,) = zip(*TensorLoader(LABELS, batch=50, seed=3, weights=weights).epoch(epoch), strict=True)
        counts += torch.bincount(torch.cat(found), minlength=3)
        n += 129
    for k, p in enumerate((expected / expected.sum()).tolist()):
        assert abs(float(counts[k]) / n - p) < 5 * math.sqrt(p * (1 - p) / n)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_weights_of_labels_on_a_gpu_give_the_same_order():
    here, there = (TensorLoader(y, batch=50, weights=balancing_weights(y)) for y in (LABELS, LABELS.cuda()))
    assert all(torch.equal(a, b.cpu()) for (a,), (b,) in zip(here, there, strict=True))


def test_weights_of_classes_are_spread_over_rows():
    v = torch.tensor([1.0, 2.0, 0.0])
    assert torch.equal(balancing_weights(LABELS, v), v.double()[LABELS])
    with pytest.raises(ValueError, match=r"one number for each of 3 classes, got \[2\]"):
        balancing_weights(LABELS, v[:2])
    with pytest.raises(ValueError, match=r"balancing_weights: power must be in \[0, 1\], got 2"):
        balancing_weights(LABELS, power=2.0)
    with pytest.raises(ValueError, match="labels must be whole numbers"):
        balancing_weights(LABELS.float())


def test_rows_of_weight_0_are_never_drawn_and_the_order_is_keyed():
    weights = torch.tensor([0.0, 1.0, 0.0, 3.0, 0.0])
    found = torch.cat([order(5, 1, e, shuffle=True, weights=weights) for e in range(200)])
    assert set(found.tolist()) == {1, 3}
    assert float((found == 3).double().mean()) == pytest.approx(0.75, abs=5 * math.sqrt(0.75 * 0.25 / 1000))
    assert torch.equal(order(5, 1, 7, shuffle=True, weights=weights), order(5, 1, 7, shuffle=True, weights=weights))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (torch.ones(4), r"one per row, not all 0; got shape \[4\]"),
        (torch.zeros(3), "got others"),
        (torch.tensor([1.0, -1.0, 1.0]), "3 finite numbers ≥ 0"),
        (torch.tensor([1.0, math.nan, 1.0]), "3 finite numbers ≥ 0"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights, words):
    with pytest.raises(ValueError, match=words):
        TensorLoader(torch.arange(3), batch=2, weights=weights)
    with pytest.raises(ValueError, match="leave out shuffle=False"):
        TensorLoader(torch.arange(3), batch=2, weights=weights, shuffle=False)


def test_a_long_tail_falls_exponentially():
    labels = torch.arange(10).repeat(60)
    rows = long_tailed(labels, ratio=20.0, seed=1)
    counts = torch.bincount(labels[rows]).tolist()
    assert counts == [max(1, math.floor(60 * 20 ** (-k / 9) + 1e-9)) for k in range(10)]
    assert counts[0] == 60
    assert counts[-1] == 3
    assert torch.equal(rows, rows.sort().values)
    assert torch.equal(rows, long_tailed(labels, ratio=20.0, seed=1))
    assert not torch.equal(rows, long_tailed(labels, ratio=20.0, seed=2))
    assert set(long_tailed(labels, ratio=50.0, seed=1).tolist()) < set(rows.tolist())
    assert torch.equal(long_tailed(labels, ratio=1.0), torch.arange(600))


def test_the_largest_class_is_as_large_as_the_smallest_was():
    assert torch.bincount(LABELS[long_tailed(LABELS, ratio=4.0)]).tolist() == [4, 2, 1]
    with pytest.raises(ValueError, match="long_tailed: class 1 has no item"):
        long_tailed(torch.tensor([0, 2]), ratio=2.0)
    with pytest.raises(ValueError, match=r"ratio must be in \[1, inf\), got 0.5"):
        long_tailed(LABELS, ratio=0.5)


def test_a_row_that_comes_again_is_augmented_anew():
    assert times_before(torch.tensor([3, 1, 3, 3, 0, 1])).tolist() == [0, 0, 1, 2, 0, 1]
    assert not times_before(torch.randperm(50)).any()
    weights = torch.tensor([1.0, 1e-9])
    loader = TensorLoader(torch.zeros(2, 1, 4, 4), batch=1, weights=weights)
    (first,), (second,) = Augmented(loader, image.Noise(1.0)).epoch(0)
    assert not torch.equal(first, second)
    (resumed,) = next(Augmented(loader, image.Noise(1.0)).epoch(0, start=1))
    assert torch.equal(resumed, second)
