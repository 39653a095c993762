"""Histograms of magnitudes against counting by hand."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu.inspection import LogHistogram


def test_every_element_is_counted_once_and_where_it_belongs():
    x = torch.tensor([1.0, 1.5, -2.0, 0.0, -0.0, 0.3, math.inf, math.nan, -math.inf, 2.0**-40, -1e-30, 1e30])
    found = LogHistogram.of(x)
    assert (found.zeros, found.nonfinite, found.total) == (2, 3, 12)
    assert {i - 64: n for i, n in enumerate(found.positive) if n} == {0: 2, -2: 1, -40: 1, 63: 1}  # 1e30 goes to the end
    assert {i - 64: n for i, n in enumerate(found.negative) if n} == {1: 1, -64: 1}  # so does -1e-30


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e9, 1e9, width=32), min_size=1, max_size=40))
def test_bins_are_those_of_the_definition(values):
    found = LogHistogram.of(torch.tensor(values))
    for e in range(-64, 64):
        inside = [v for v in values if v and min(63, max(-64, math.frexp(v)[1] - 1)) == e]
        assert found.positive[e + 64] == sum(v > 0 for v in inside)
        assert found.negative[e + 64] == sum(v < 0 for v in inside)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_dtypes_agree(dtype):
    x = torch.tensor([1.0, -0.5, 0.0, 4.0], dtype=dtype)
    assert LogHistogram.of(x) == LogHistogram.of(x.double())
    assert LogHistogram.of(x.double() * (1 + 1j)).total == 8


def test_two_add_up():
    source = torch.Generator().manual_seed(0)
    x = torch.randn(500, generator=source) ** 3
    assert LogHistogram.of(x[:200]) + LogHistogram.of(x[200:]) == LogHistogram.of(x)


def test_quantiles_are_right_to_a_factor_of_root_two():
    x = torch.randn(10_001, generator=torch.Generator().manual_seed(0))
    for q in (0.01, 0.5, 0.999):
        true = x.abs().double().quantile(q).item()
        assert 1 / math.sqrt(2) <= LogHistogram.of(x).quantile(q) / true <= math.sqrt(2) * 1.001
    assert math.isnan(LogHistogram.of(torch.zeros(3)).quantile(0.5))


def test_buckets_are_in_order_and_hold_everything_finite():
    x = torch.tensor([-3.0, -0.1, 0.0, 0.2, 5.0, math.nan])
    buckets = list(LogHistogram.of(x).buckets())
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(buckets))
    assert sum(n for _, _, n in buckets) == 5
    for low, high, n in buckets:
        assert n == sum(
            (low <= v < high) if v > 0 else (low < v <= high) if v < 0 else low == high for v in x.tolist() if v == v
        )
    assert list(LogHistogram.of(torch.zeros(4)).buckets()) == [(0.0, 0.0, 4)]
