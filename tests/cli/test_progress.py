from io import StringIO

import pytest
from rich.console import Console

from danlu.cli.progress import LiveLine, quantity
from danlu.train import Clock, Report, Result


def drawn(width=100, **report):
    stream = StringIO()
    line = LiveLine(Console(file=stream, force_terminal=True, width=width), "image")
    clock = Clock(total=40, steps_per_epoch=20)
    line.start(clock)
    clock = Clock(total=40, steps_per_epoch=20, done=10, step=10, seconds=5.0)
    line.update(
        clock,
        Report(**{"loss": 0.25, "count": 640, "grad_norm": 1.5, "clipped": False, "skipped": False, "lr": [3e-3], **report}),
    )
    line.evaluated(clock, {"train/loss": 0.5, "valid/loss": 0.75, "valid/accuracy": 0.875})
    line.end(clock, Result(history=[], final={}, best={}, steps=10, skipped=0, seconds=5.0, interrupted=False, path=None))
    return stream.getvalue()


def test_the_line_tells_where_the_run_is():
    assert "epoch 0.5  update 10/40  loss 0.250  lr 3.0e-03  |g| 1.5  eta 0:15  128 images/s" in drawn()


def test_an_evaluation_stays_above_it():
    assert "epoch  0.5  train loss 0.5000  test loss 0.7500  test accuracy 87.50%\n" in drawn()


def test_a_narrow_terminal_cuts_it():
    assert "images/s" not in drawn(width=60)
    assert "eta" in drawn(width=70)


def test_what_was_skipped_is_said():
    assert "update 10 skipped: no item counts\n" in drawn(skipped=True, reason="no item counts")


def test_the_cursor_comes_back():
    assert drawn().rindex("\x1b[?25h") > drawn().rindex("\x1b[?25l")


@pytest.mark.parametrize(
    ("x", "text"), [(7.123, "7.12"), (999, "999"), (1500, "1.5k"), (51_234, "51.2k"), (2_345_678, "2.35M")]
)
def test_quantities_are_short(x, text):
    assert quantity(x) == text
