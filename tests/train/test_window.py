from itertools import islice

import pytest

from danlu.train import windows
from danlu.train.window import epoch_of


@pytest.mark.parametrize(
    ("n", "accumulate", "wanted"),
    [
        (0, 2, []),
        (4, 1, [[0], [1], [2], [3]]),
        (4, 2, [[0, 1], [2, 3]]),
        (5, 2, [[0, 1], [2, 3], [4]]),
        (3, 7, [[0, 1, 2]]),
    ],
)
def test_a_short_last_window_is_kept(n, accumulate, wanted):
    assert list(windows(range(n), accumulate)) == wanted
    assert list(windows(iter(range(n)), accumulate)) == wanted


def test_windows_are_refused_at_once():
    with pytest.raises(ValueError, match=r"windows: accumulate must be in \[1, inf\), got 0"):
        windows([1], 0)


def test_no_batch_is_drawn_before_it_is_needed():
    drawn = []
    batches = (drawn.append(i) or i for i in range(10))
    assert list(islice(windows(batches, 2), 2)) == [[0, 1], [2, 3]]
    assert drawn == [0, 1, 2, 3]


def test_an_attribute_called_epoch_is_no_method():
    class Foreign(list):
        epoch = 3

    assert list(epoch_of(Foreign([1]), 0)) == [1]
