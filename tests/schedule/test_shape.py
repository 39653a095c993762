"""The laws of the shapes, with lr_max and lr_min as the books write them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danlu.schedule import (
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    InverseSqrt,
    Linear,
    OneCycle,
    Polynomial,
    Restarts,
    Rex,
    Schedule,
    StableCosine,
    Steps,
    Wsd,
)

fractions = st.floats(0.0, 1.0)
shapes = st.one_of(
    st.just(Constant()),
    st.builds(Linear, fractions),
    st.builds(Cosine, fractions),
    st.builds(Polynomial, st.floats(0.05, 20.0), fractions),
    st.builds(Exponential, st.floats(1e-6, 1.0)),
    st.builds(Wsd, st.floats(1e-3, 1.0), st.floats(0.05, 20.0), fractions),
    st.builds(StableCosine, st.floats(1e-3, 1.0), fractions),
    st.builds(Rex, fractions),
    st.builds(InverseSqrt, st.floats(1e-6, 1.0)),
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
        (StableCosine(7 / T), LR_MAX * np.where(t < 30, 1, (1 + np.cos((t - 30) / 7 * np.pi)) / 2)),
        (Rex(LR_MIN / LR_MAX), LR_MIN + (LR_MAX - LR_MIN) * (1 - t / T) / (1 - t / (2 * T))),
        (InverseSqrt(0.2), LR_MAX / np.sqrt(1 + 24 * t / T)),
        (
            OneCycle(7 / T, 0.1, 0.01),
            LR_MAX * np.where(t < 7, 0.55 - 0.45 * np.cos(t / 7 * np.pi), 0.505 + 0.495 * np.cos((t - 7) / 30 * np.pi)),
        ),
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


@given(st.floats(1e-3, 0.999), fractions, fractions)
def test_one_cycle_rises_to_one_and_falls_to_its_floor(rise, start, floor):
    shape = OneCycle(rise, start, floor)
    assert shape(0.0) == pytest.approx(start, abs=1e-15)
    assert shape(rise) == 1.0
    assert shape(1.0) == shape(7.0) == pytest.approx(floor, abs=1e-15)
    assert shape(rise / 3) <= shape(rise / 2) + 1e-15
    assert shape(rise + (1 - rise) / 2) <= shape(rise + (1 - rise) / 3) + 1e-15


def test_a_shape_that_rises_by_itself_has_no_warmup():
    message = r"^schedule: OneCycle begins at 0\.04 of the peak, with a rise of its own; set warmup to 0$"
    with pytest.raises(ValueError, match=message):
        Schedule(OneCycle(), "5%")
    assert Schedule(OneCycle()).factor(30, 100) == Schedule(OneCycle(start=1.0), "5%").factor(5, 100) == 1.0


def test_restarts_by_hand():
    shape = Restarts(3, 2.0, 0.5, 0.1)  # of 70: 10, 20 and 40 updates from 1, 0.5 and 0.25
    assert [shape(k / 70) for k in (0, 10, 30, 70, 80)] == [1.0, 0.5, 0.25, 0.1, 0.1]
    assert [shape(k / 70) for k in (5, 20, 50)] == pytest.approx([0.55, 0.3, 0.175], abs=1e-15)
    low = Restarts(3, 1.0, 0.1, 0.5)
    assert [low(z) for z in (0.4, 0.9)] == [0.5, 0.5]  # no peak is below the floor


@given(st.integers(1, 40), st.integers(1, 500), fractions)
def test_restarts_of_equal_length_are_cycles(cycles, total, floor):
    one, other = Restarts(cycles, 1.0, 1.0, floor), Cyclic(Cosine(floor), cycles)
    for k in range(0, total + 1, 1 + total // 30):
        assert one(k / total) == pytest.approx(other(k / total), abs=1e-9)


@pytest.mark.parametrize("cycles", [1, 50, 5000])
def test_restarts_of_any_number_stay_in_their_range(cycles):
    shape = Restarts(cycles, 10.0, 0.9, 0.01)
    assert shape(0.0) <= 1.0
    assert all(0.01 <= shape(k / 97) <= 1.0 for k in range(99))


@given(fractions, fractions)
def test_power_one_is_linear(floor, z):
    assert Polynomial(1.0, floor)(z) == Linear(floor)(z)


@pytest.mark.parametrize("z", [-1e-9, math.nan])
@pytest.mark.parametrize(
    "shape", [Constant(), Cosine(), Exponential(), Linear(), Polynomial(), Rex(), Steps(), Wsd(), OneCycle(), Restarts()]
)
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
        (lambda: StableCosine(0.0), r"^stable_cosine: decay must be in \(0, 1\], got 0\.0$"),
        (lambda: OneCycle(0.0), r"^one_cycle: rise must be in \(0, 1\), got 0\.0$"),
        (lambda: Restarts(growth=0.5), r"^restarts: growth must be in \[1, 10\], got 0\.5$"),
        (lambda: Wsd(0.0), r"^wsd: decay must be in \(0, 1\], got 0\.0$"),
        (lambda: Polynomial(floor="0.1"), r"^polynomial: floor must be a number in \[0, 1\], got '0\.1'$"),
    ],
)
def test_ranges(make, message):
    with pytest.raises(ValueError, match=message):
        make()
