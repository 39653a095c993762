"""Gauges against NumPy in float64, at the edges, and on distributions whose tails are known."""

import math

import numpy as np
import pytest
import torch

from danlu.inspection import Gauges

LIKE = {"rel": 1e-4, "nan_ok": True}


def by_hand(x):
    x = np.asarray(x, dtype=np.float64)
    size = np.sort(np.abs(x))[::-1]
    k = max(1, len(x) // 100)
    tail = max(10, k)
    return {
        "norm": np.sqrt((x**2).sum()),
        "rms": np.sqrt((x**2).mean()),
        "zeros": (x == 0).mean(),
        "nonfinite": 0.0,
        "top": (size[:k] ** 2).sum() / (size**2).sum(),
        "kurtosis": ((x - x.mean()) ** 4).mean() / x.var() ** 2 - 3,
        "hill": 1 / np.log(size[: tail - 1] / size[tail - 1]).mean() if len(x) >= 100 else math.nan,
    }


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e18])  # squares of the outer ones leave float32
@pytest.mark.parametrize("size", [3, 150, 4000])
def test_gauges_are_those_of_numpy(size, scale):
    source = np.random.default_rng(size)
    x = source.standard_normal(size) * scale
    x[0] = 0.0
    x32 = x.astype(np.float32)
    found = Gauges.of(torch.from_numpy(x32).reshape(-1, 1))
    for name, value in by_hand(x32).items():
        assert getattr(found, name) == pytest.approx(value, **LIKE), name


def test_a_longer_tail_reads_longer():
    source = np.random.default_rng(0)
    normal = Gauges.of(torch.from_numpy(source.standard_normal(100_000)))
    heavy = Gauges.of(torch.from_numpy(source.standard_t(3, 100_000)))
    assert normal.top == pytest.approx(0.085, abs=0.003)
    assert normal.kurtosis == pytest.approx(0.0, abs=0.1)
    assert heavy.top > 3 * normal.top
    assert heavy.kurtosis > 5
    assert heavy.hill == pytest.approx(3.0, abs=0.4)  # the index of Student's t with 3 degrees of freedom
    assert normal.hill > 1.5 * heavy.hill


def test_edges():
    empty = Gauges.of(torch.empty(0))
    assert (empty.norm, empty.zeros) == (0.0, 0.0)
    zero = Gauges.of(torch.zeros(200))
    assert (zero.norm, zero.rms, zero.zeros) == (0.0, 0.0, 1.0)
    assert all(math.isnan(x) for x in (zero.top, zero.kurtosis, zero.hill))
    broken = Gauges.of(torch.tensor([math.nan, math.inf, 0.0, 2.0]))
    assert (broken.nonfinite, broken.zeros, broken.norm) == (0.5, 0.25, 2.0)
    assert Gauges.of(torch.tensor([3 + 4j])).norm == pytest.approx(5.0)
    assert Gauges.of(torch.full((7,), 2.0, dtype=torch.bfloat16)).norm == pytest.approx(2 * math.sqrt(7))
