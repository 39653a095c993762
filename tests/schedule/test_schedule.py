"""The law of a schedule: warm-up, decay, ends, staircase."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danlu.schedule import Cosine, Duration, Linear, Polynomial, Schedule

shapes = st.one_of(st.builds(Cosine, st.floats(0, 1)), st.builds(Linear, st.floats(0, 1)), st.just(Polynomial(2.0)))
starts = st.sampled_from(["one", "zero"])
pers = st.sampled_from(["step", "epoch"])


def curve(schedule, total, steps_per_epoch=None, n=None):
    return np.array([schedule.factor(k, total, steps_per_epoch) for k in range(n or total + 3)])


def law(z, floor):
    return floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * z))


def test_warmup_from_one_then_cosine():
    k, T, W = np.arange(24), 20, 4
    want = np.where(k < W, (k + 1) / W, law(np.clip((k - W) / (T - W), 0, 1), 0.1))
    np.testing.assert_allclose(curve(Schedule(Cosine(0.1), W), T, n=24), want, rtol=0, atol=1e-15)


def test_warmup_from_zero_then_cosine():
    k, T, W = np.arange(24), 20, 4
    want = np.where(k < W, k / W, law(np.clip((k - W) / (T - W), 0, 1), 0.1))
    np.testing.assert_allclose(curve(Schedule(Cosine(0.1), W, "zero"), T, n=24), want, rtol=0, atol=1e-15)


def test_no_warmup_is_the_shape():
    assert Schedule(Linear()).factor(0, 10) == 1.0
    assert Schedule(Linear(), 0, "zero").factor(0, 10) == 1.0


@pytest.mark.parametrize("warmup", [6, "6st", "3ep", "30%", Duration(3, "ep")])
def test_a_warmup_in_any_unit(warmup):
    np.testing.assert_array_equal(curve(Schedule(Linear(), warmup), 20, 2), curve(Schedule(Linear(), 6), 20))


@pytest.mark.parametrize("warmup", [10, 25])
def test_a_warmup_of_the_whole_run_or_more(warmup):
    got = curve(Schedule(Linear(0.25), warmup), 10)
    np.testing.assert_array_equal(got[:10], (np.arange(10) + 1) / warmup)
    np.testing.assert_array_equal(got[10:], 0.25)


def test_staircase_by_hand():
    got = curve(Schedule(Linear(0.2), "2ep", per="epoch"), 15, 3)  # 5 epochs of 3: two of warm-up, three of decay
    np.testing.assert_allclose(got, np.repeat([0.5, 1, 1, 1 - 0.8 / 3, 1 - 1.6 / 3, 0.2], 3), rtol=0, atol=1e-15)
    assert got[15] == 0.2


def test_staircase_warmup_from_zero():
    got = curve(Schedule(Linear(), "2ep", "zero", "epoch"), 12, 3, n=12)
    np.testing.assert_allclose(got, np.repeat([0, 0.5, 1, 0.5], 3), rtol=0, atol=1e-15)


def test_staircase_with_a_last_epoch_cut_short():
    got = curve(Schedule(Linear(), per="epoch"), 8, 3)  # ⌈8/3⌉ = 3 epochs, the last of two updates
    np.testing.assert_allclose(got, [1, 1, 1, 2 / 3, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 0, 0, 0], rtol=0, atol=1e-15)


def test_staircase_rounds_a_warmup_up_to_whole_epochs():
    np.testing.assert_array_equal(
        curve(Schedule(Linear(), 4, per="epoch"), 15, 3), curve(Schedule(Linear(), "2ep", per="epoch"), 15, 3)
    )


@given(shapes, starts, pers, st.integers(0, 60), st.integers(1, 40), st.integers(1, 9))
def test_bounds_ends_and_monotony(shape, start, per, warmup, total, steps_per_epoch):
    schedule = Schedule(shape, warmup, start, per)
    got = curve(schedule, total, steps_per_epoch)
    assert got.min() >= 0.0
    assert got.max() <= 1.0
    assert got[total] == got[total + 1] == got[total + 2] == shape(1.0)
    first = {"one": 1 / warmup, "zero": 0.0}[start] if warmup and per == "step" else None
    assert first is None or got[0] == first
    assert warmup or got[0] == 1.0
    warm = min(warmup if per == "step" else -(-warmup // steps_per_epoch) * steps_per_epoch, total)
    assert (np.diff(got[:warm]) >= 0).all()
    assert (np.diff(got[warm:]) <= 1e-15).all()
    if per == "epoch":
        for e in range(0, total, steps_per_epoch):
            assert len(set(got[e : min(e + steps_per_epoch, total)])) == 1


@given(shapes, st.integers(0, 5), st.integers(1, 12), st.integers(1, 9))
def test_step_and_epoch_agree_where_an_epoch_starts(shape, warm_epochs, epochs, S):
    stairs = Schedule(shape, f"{warm_epochs}ep", "zero", "epoch")
    smooth = Schedule(shape, f"{warm_epochs}ep", "zero")
    for e in range(epochs + 2):
        assert stairs.factor(e * S, epochs * S, S) == smooth.factor(e * S, epochs * S, S)


@given(shapes, starts, st.lists(st.integers(0, 40), min_size=2, max_size=10))
def test_pure(shape, start, steps):
    schedule = Schedule(shape, "10%", start)
    in_order = curve(schedule, 30, n=41)
    assert [schedule.factor(k, 30) for k in steps] == [in_order[k] for k in steps]


def test_value_object():
    schedule = Schedule(Cosine(0.1), "5%", "zero", "epoch")
    assert schedule.warmup == Duration(5, "%")
    assert pickle.loads(pickle.dumps(schedule)) == schedule == Schedule(Cosine(0.1), Duration(5, "%"), "zero", "epoch")
    assert hash(schedule) == hash(Schedule(Cosine(0.1), "5%", "zero", "epoch"))
    assert Schedule() == Schedule(Cosine(), 0, "one", "step")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Schedule().factor(-1, 10), r"^schedule: step must be at least 0 \(the first update is 0\), got -1$"),
        (lambda: Schedule().factor(0, 0), r"^schedule: total must be at least 1 update, got 0$"),
        (lambda: Schedule().factor(0, 10, 0), r"^schedule: steps_per_epoch must be at least 1 update, got 0$"),
        (lambda: Schedule(per="epoch").factor(0, 10), r"^schedule: per='epoch' needs steps_per_epoch"),
        (lambda: Schedule(warmup="1ep").factor(0, 10), r"^duration '1ep' needs steps_per_epoch"),
        (lambda: Schedule(warmup=-1), r"^duration: amount must be in \[0, inf\), got -1$"),
        (lambda: Schedule(warmup_from="two"), r"^schedule: warmup_from must be one of one, zero, got 'two'$"),
        (lambda: Schedule(per="batch"), r"^schedule: per must be one of step, epoch, got 'batch'$"),
    ],
)
def test_bad_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("shape", ["cosine", Cosine])
def test_bad_shape(shape):
    with pytest.raises(TypeError, match=r"shape must be one such as Cosine\(\), got .*; create\(\) takes names$"):
        Schedule(shape)
