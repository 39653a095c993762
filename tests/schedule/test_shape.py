"""The laws of the shapes, with lr_max and lr_min as the books write them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danlu.schedule import Constant, Cosine, Exponential, Linear, Polynomial, Steps, Wsd

fractions = st.floats(0.0, 1.0)
shapes = st.one_of(
    st.just(Constant()),
    st.builds(Linear, fractions),
    st.builds(Cosine, fractions),
    st.builds(Polynomial, st.floats(0.05, 20.0), fractions),
    st.builds(Exponential, st.floats(1e-6, 1.0)),
    st.builds(Wsd, st.floats(1e-3, 1.0), st.floats(0.05, 20.0), fractions),
)
LR_MAX, LR_MIN, T = 3e-3, 7e-6, 37
t = np.arange(T + 1)


@pytest.mark.parametrize(
    ("shape", "law"),
    [
        (Cosine(LR_MIN / LR_MAX), LR_MIN + (LR_MAX - LR_MIN) / 2 * (1 + np.cos(t / T * np.pi))),
        (Linear(LR_MIN / LR_MAX), LR_MAX - t / T * (LR_MAX - LR_MIN)),
        (Polynomial(0.9, LR_MIN / LR_MAX), LR_MIN + (LR_MAX - LR_MIN) * (1 - t / T) ** 0.9),
        (Polynomial(3.0, LR_MIN / LR_MAX), LR_MIN + (LR_MAX - LR_MIN) * (1 - t / T) ** 3),
        (Constant(), np.full(T + 1, LR_MAX)),
        (Exponential(LR_MIN / LR_MAX), LR_MAX * (LR_MIN / LR_MAX) ** (t / T)),
        (Steps((10 / T, 30 / T), 0.2), LR_MAX * np.where(t < 10, 1, np.where(t < 30, 0.2, 0.2 * 0.2))),
        (Steps(()), np.full(T + 1, LR_MAX)),
        (Wsd(7 / T, 1.0, LR_MIN / LR_MAX), np.where(t < 30, LR_MAX, LR_MAX - (t - 30) / 7 * (LR_MAX - LR_MIN))),
        (Wsd(1.0, 2.0), LR_MAX * (1 - (t / T) ** 2)),
    ],
    ids=str,
)
def test_law_in_absolute_rates(shape, law):
    np.testing.assert_allclose([LR_MAX * shape(k / T) for k in t], law, rtol=0, atol=1e-17)


@given(shapes)
def test_both_ends_are_exact_and_the_end_holds(shape):
    end = getattr(shape, "floor", 1.0)
    assert shape(0.0) == 1.0
    assert shape(1.0) == shape(1.5) == shape(math.inf) == end


def test_steps_drop_at_their_places_and_stay():
    shape = Steps((0.3, 0.6), 0.5)
    assert [shape(k / 10) for k in range(13)] == [1, 1, 1, 0.5, 0.5, 0.5] + [0.25] * 7
    assert Steps([0.3, 0.6], 0.5) == shape  # as a recipe writes it
    assert hash(Steps([0.3])) == hash(Steps((0.3,)))


@given(shapes, fractions, fractions)
def test_falls_between_its_ends(shape, a, b):
    a, b = sorted((a, b))
    assert getattr(shape, "floor", 0.0) <= shape(b) <= shape(a) + 1e-15
    assert shape(a) <= 1.0


@given(fractions, fractions)
def test_power_one_is_linear(floor, z):
    assert Polynomial(1.0, floor)(z) == Linear(floor)(z)


@pytest.mark.parametrize("z", [-1e-9, math.nan])
@pytest.mark.parametrize("shape", [Constant(), Cosine(), Exponential(), Linear(), Polynomial(), Steps(), Wsd()])
def test_progress_below_zero(shape, z):
    with pytest.raises(ValueError, match=r"progress z must be at least 0, got"):
        shape(z)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cosine(1.1), r"^cosine: floor must be in \[0, 1\], got 1\.1$"),
        (lambda: Linear(-0.1), r"^linear: floor must be in \[0, 1\], got -0\.1$"),
        (lambda: Polynomial(0.0), r"^polynomial: power must be in \(0, inf\), got 0\.0$"),
        (lambda: Exponential(0.0), r"^exponential: floor must be in \(0, 1\], got 0\.0$"),
        (lambda: Steps((0.5, 1.0)), r"^steps: at\[1\] must be in \(0, 1\), got 1\.0$"),
        (lambda: Steps(0.5), r"^steps: at must be a list of numbers, got 0\.5$"),
        (lambda: Steps(gamma=0.0), r"^steps: gamma must be in \(0, 1\], got 0\.0$"),
        (lambda: Wsd(0.0), r"^wsd: decay must be in \(0, 1\], got 0\.0$"),
        (lambda: Polynomial(floor="0.1"), r"^polynomial: floor must be a number in \[0, 1\], got '0\.1'$"),
    ],
)
def test_ranges(make, message):
    with pytest.raises(ValueError, match=message):
        make()
