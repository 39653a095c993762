"""Durations: what is read, what is written, what is counted, what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danlu.schedule import Duration

durations = st.one_of(
    st.builds(Duration, st.integers(0, 10**12)),
    st.builds(Duration, st.floats(0, 1e9), st.just("ep")),
    st.builds(Duration, st.floats(0, 100), st.just("%")),
    st.builds(Duration, st.floats(0, 1e9), st.sampled_from(["samples", "s", "min", "h"])),
)


@pytest.mark.parametrize(
    ("value", "amount", "unit"),
    [
        (200, 200, "st"),
        (np.int64(200), 200, "st"),
        ("200", 200, "st"),
        ("200st", 200, "st"),
        ("1e3st", 1000, "st"),
        ("10ep", 10, "ep"),
        (" 0.5 ep ", 0.5, "ep"),
        ("5%", 5, "%"),
        ("2.5 %", 2.5, "%"),
        (0, 0, "st"),
        ("1e6samples", 1e6, "samples"),
        ("90s", 90, "s"),
        ("30min", 30, "min"),
        ("1.5 h", 1.5, "h"),
    ],
)
def test_parse(value, amount, unit):
    assert Duration.parse(value) == Duration(amount, unit)


@given(durations)
def test_text_round_trips(duration):
    assert Duration.parse(str(duration)) == duration
    assert Duration.parse(duration) is duration


def test_text():
    assert [str(Duration.parse(x)) for x in (200, "10ep", "2.5ep", "5%")] == ["200st", "10ep", "2.5ep", "5%"]


@pytest.mark.parametrize(
    ("value", "steps"),
    [("7", 7), ("3ep", 30), ("0.25ep", 3), ("0.24ep", 2), ("29%", 29), ("0.5%", 1), ("0.4%", 0), ("100%", 100)],
)
def test_steps_round_to_the_nearest(value, steps):
    assert Duration.parse(value).steps(100, 10) == steps


@pytest.mark.parametrize(
    ("value", "kind", "size"),
    [
        ("7", "st", 7),
        ("2ep", "ep", 2),
        ("5%", "%", 5),
        ("9samples", "samples", 9),
        ("90s", "s", 90),
        ("2min", "s", 120),
        ("2h", "s", 7200),
    ],
)
def test_kind_and_size(value, kind, size):
    assert (Duration.parse(value).kind, Duration.parse(value).size) == (kind, size)


@pytest.mark.parametrize("value", ["10samples", "90s", "30min", "2h"])
def test_samples_and_times_are_no_number_of_updates(value):
    with pytest.raises(ValueError, match=f"^duration '{value}' is no number of updates; write '200st', '10ep' or '5%'$"):
        Duration.parse(value).steps(100, 10)


def test_only_what_the_unit_needs_must_be_known():
    assert Duration.parse("7st").steps(None, None) == 7
    assert Duration.parse("2ep").steps(None, 10) == 20
    assert Duration.parse("10%").steps(50, None) == 5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2ep", r"^duration '2ep' needs steps_per_epoch, which is not known here; write '200st'$"),
        ("5%", r"^duration '5%' needs the length of the run, not known here; write '200st' or '10ep'$"),
    ],
)
def test_what_is_not_known(value, message):
    with pytest.raises(ValueError, match=message):
        Duration.parse(value).steps(None, None)


@pytest.mark.parametrize("value", ["", "10 epochs", "ep", "-3ep", "5%%", "1_000", "nan", "infep", 0.05, True, None, [5]])
def test_malformed(value):
    with pytest.raises(ValueError, match=r"is not understood; write 200 or '200st' \(updates\), '10ep'.*'5%'") as error:
        Duration.parse(value)
    assert str(error.value).startswith(f"duration {value!r} ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Duration.parse(-3), r"^duration: amount must be in \[0, inf\), got -3$"),
        (lambda: Duration.parse("1e999ep"), r"^duration: amount must be in \[0, inf\), got inf$"),
        (lambda: Duration.parse("2.5st"), r"^duration '2\.5st' is not a whole number of updates; write '2st'$"),
        (lambda: Duration.parse("150%"), r"^duration '150%' is longer than the run; write at most '100%'"),
        (lambda: Duration(3, "epochs"), r"^duration: unit must be one of st, ep, %, samples, s, min, h, got 'epochs'$"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
