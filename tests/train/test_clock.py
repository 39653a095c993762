"""The clock in every unit, and what is due when."""

import pytest

from danlu.schedule import Duration
from danlu.train import Clock, Report


def ticks(clock, n, count=10.0, seconds=1.0, skipped=()):
    """The clock after each of n windows."""
    found = []
    for k in range(n):
        clock = clock.after(Report(0.5, count, 1.0, False, k in skipped, [0.1]), clock.seconds + seconds)
        found.append(clock)
    return found


def due(clock, every, n, **options):
    return [each.done for each in ticks(clock, n, **options) if each.due(Duration.parse(every))]


def test_it_counts():
    last = ticks(Clock(12, 5), 7, skipped=(1, 2))[-1]
    assert (last.done, last.step, last.skipped, last.samples, last.seconds) == (7, 5, 2, 70.0, 7.0)
    assert (last.epoch, last.progress, last.finished) == (1.4, 7 / 12, False)
    assert ticks(Clock(12, 5), 12)[-1].finished


@pytest.mark.parametrize(
    ("until", "n"),
    [("75samples", 8), ("80samples", 8), ("6.5s", 7), ("0.1min", 6)],
)
def test_the_window_that_reaches_the_length_is_the_last(until, n):
    clock = Clock(None, 5, until=Duration.parse(until))
    assert [each.finished for each in ticks(clock, n)] == [False] * (n - 1) + [True]


@pytest.mark.parametrize(
    ("length", "window"),
    [(3, 3), ("1ep", 5), ("1.5ep", 8), ("50%", 6), ("45samples", 5), ("4.5s", 5), (0, 1)],
)
def test_reached(length, window):
    found = [each.done for each in ticks(Clock(12, 5), 12) if each.reached(Duration.parse(length))]
    assert found == list(range(window, 13))


@pytest.mark.parametrize(
    ("every", "at"),
    [
        (4, [4, 8, 12]),
        ("1ep", [5, 10]),
        ("25%", [3, 6, 9, 12]),
        ("0.1%", list(range(1, 13))),
        ("40samples", [4, 8, 12]),
        ("35samples", [4, 7, 11]),
        ("2.5s", [3, 5, 8, 10]),
        ("0.05min", [3, 6, 9, 12]),
        ("1h", []),
    ],
)
def test_due(every, at):
    assert due(Clock(12, 5), every, 12) == at


@pytest.mark.parametrize(
    ("clock", "every", "at"),
    [
        (Clock(11, 5), 5, [5]),  # 10 is 1 window before the end, less than a quarter of 5
        (Clock(12, 5), 5, [5, 10]),  # 2 windows are more
        (Clock(101, 50), "50%", [51]),
        (Clock(None, 5, until=Duration.parse("110samples")), "50samples", [5]),
        (Clock(None, 5, until=Duration.parse("120samples")), "50samples", [5, 10]),
        (Clock(None, 5, until=Duration.parse("11s")), "5s", [5]),
        (Clock(None, 5, until=Duration.parse("11s")), "50samples", [5, 10]),  # cannot be compared
    ],
)
def test_what_falls_just_before_the_end_is_left_to_the_end(clock, every, at):
    n = 101 if clock.total == 101 else 11
    assert due(clock, every, n) == at


def test_per_cent_of_a_time():
    assert due(Clock(None, 5, until=Duration.parse("10s")), "20%", 10) == [2, 4, 6, 8, 10]


def test_epochs_of_unknown_length_are_known_when_the_next_begins():
    clock, found = Clock(None, None, until=Duration.parse("3ep")), []
    for epoch in (0, 1, 2):
        for _ in range(4):
            clock = ticks(clock.at(epoch), 1)[0]
            found.append((clock.epoch, clock.due(Duration.parse("1ep"))))
    assert found == [(0.0, False)] * 4 + [(1.0, True)] + [(1.0, False)] * 3 + [(2.0, True)] + [(2.0, False)] * 3
    assert not clock.finished
    assert clock.at(3).finished


def test_a_clock_resumes_with_the_lengths_of_the_new_run():
    old = ticks(Clock(12, 5), 7)[-1]
    new = Clock(20, 5).moved(old.state_dict())
    assert new == ticks(Clock(20, 5), 7)[-1]
    assert all(isinstance(x, (int, float)) for x in old.state_dict().values())
