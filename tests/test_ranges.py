"""Ranges in annotations: what belongs to them, and the one form of message."""

import functools
import math
from dataclasses import dataclass
from fractions import Fraction as Ratio
from typing import Annotated, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from danlu.ranges import (
    AnyNumber,
    Beta,
    Count,
    Fraction,
    Interval,
    NonNegative,
    Positive,
    Steps,
    Structural,
    check,
    hints,
    problems,
)


def found(hint, value):
    return list(problems("owner", {"x": hint}, {"x": value}))


@pytest.mark.parametrize(
    ("closed", "text", "left", "right"),
    [
        ("both", "[0, 1]", True, True),
        ("left", "[0, 1)", True, False),
        ("right", "(0, 1]", False, True),
        ("neither", "(0, 1)", False, False),
    ],
)
def test_the_ends_of_an_interval(closed, text, left, right):
    interval = Interval(0.0, 1.0, closed)
    assert str(interval) == text
    assert (0.0 in interval, 1.0 in interval) == (left, right)
    assert 0.5 in interval
    assert -1e-300 not in interval
    assert 1.0 + 1e-15 not in interval
    assert math.nan not in interval


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats())
def test_a_closed_interval_is_two_comparisons(lo, hi, x):
    assert (x in Interval(lo, hi)) == (lo <= x <= hi)
    assert (x in Interval(lo, hi, "neither")) == (lo < x < hi)


@pytest.mark.parametrize(
    ("hint", "inside", "outside"),
    [
        (Beta, [0, 0.0, 0.999], [1.0, -1e-9, math.nan]),
        (Fraction, [0, 0.5, 1], [1.01, -0.01]),
        (Positive, [1e-300, 7], [0.0, -1.0, math.inf, math.nan]),
        (NonNegative, [0, 0.0, 1e300], [-1e-300, math.inf, math.nan]),
        (AnyNumber, [-1e300, 0, 1e300], [math.inf, -math.inf, math.nan]),
    ],
    ids=["Beta", "Fraction", "Positive", "NonNegative", "AnyNumber"],
)
def test_the_named_ranges(hint, inside, outside):
    for value in inside:
        assert found(hint, value) == []
    for value in outside:
        assert found(hint, value) == [f"owner: x must be in {hint.__metadata__[0]}, got {value!r}"]


@pytest.mark.parametrize(
    "value", [0.5, 1, Ratio(1, 3), np.float32(0.5), np.int64(2), torch.tensor(0.5), np.array(0.5)], ids=repr
)
def test_one_real_number_is_a_number(value):
    assert found(NonNegative, value) == []


@pytest.mark.parametrize("value", [True, "0.1", None, 1j, (0.5,), torch.ones(1), np.ones(2)], ids=repr)
def test_what_is_no_number(value):
    assert found(NonNegative, value) == [f"owner: x must be a number in [0, inf), got {value!r}"]


@pytest.mark.parametrize(
    ("hint", "good", "bad", "wanted"),
    [
        (bool, [True, False], [1, 0, "yes", None], "True or False"),
        (int, [3, -1], [True, 3.0, "3"], "a whole number"),
        (type(None), [None], [0, False], "None"),
        (Literal["sum", "max"], ["sum"], ["mean", None], "one of sum, max"),
        (Annotated[int, Interval(1, 9)], [1, 9], [0, 10], "in [1, 9]"),
        (Count, [1, 7], [0, -3], "in [1, inf)"),
        (Steps, [0, 7, 2.0], [0.5, 1e-9], "a whole number in [0, inf)"),
        (Annotated[float, Interval(1.0, math.inf), Structural()], [1.0, math.inf], [0.5], "in [1, inf]"),
        (Positive | None, [1.0, None], [0.0], "in (0, inf) or None"),
        (Beta | Structural, [0.5, Structural()], [1.0, 2], "in [0, 1) or a Structural"),
        (Beta | Structural, [], ["x", None], "a number in [0, 1) or a Structural"),
        (Positive | bool, [1.0, True], [0.0], "in (0, inf) or True or False"),
        (tuple[Beta, Beta], [(0.9, 0.99), [0.9, 0.99]], [0.9, (0.9,), (0.9, 0.9, 0.9), "ab c"], "2 numbers"),
        (tuple[float, ...], [(1.0,), ()], [], ""),
        (str, ["free", 3], [], ""),
    ],
    ids=str,
)
def test_other_types(hint, good, bad, wanted):
    for value in good:
        assert found(hint, value) == []
    for value in bad:
        assert found(hint, value) == [f"owner: x must be {wanted}, got {value!r}"]


def test_an_item_of_a_tuple_is_named():
    assert found(tuple[Beta, Beta], (1.0, 0.9)) == ["owner: x[0] must be in [0, 1), got 1.0"]
    assert found(tuple[Beta, Beta], [2, math.nan]) == [
        "owner: x[0] must be in [0, 1), got 2",
        "owner: x[1] must be in [0, 1), got nan",
    ]


def test_check_raises_one_error_with_a_line_per_value():
    annotations = {"eps": Positive, "beta": Beta, "name": str}
    check("owner", annotations, {"eps": 1e-8, "beta": 0.9, "name": 3, "unknown": object()})
    with pytest.raises(ValueError) as raised:
        check("owner", annotations, {"beta": 1.0, "eps": 0.0, "unknown": None})
    assert str(raised.value) == "owner: beta must be in [0, 1), got 1.0\nowner: eps must be in (0, inf), got 0.0"


def test_hints_keep_order_and_ranges_of_functions_and_dataclasses():
    def function(b: Beta, a: "Positive" = 1.0, c=3) -> NonNegative:
        return 0.0

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        return function(*args, **kwargs)

    @dataclass
    class Record:
        second: Beta
        first: NonNegative = 0.0

    assert list(hints(function).items()) == [("b", Beta), ("a", Positive)]
    assert hints(wrapped) == hints(function)
    assert list(hints(Record).items()) == [("second", Beta), ("first", NonNegative)]
