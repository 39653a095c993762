from itertools import islice

import pytest
import torch

from danlu.keyed import seed_all
from danlu.train import windows
from danlu.train.window import epoch_of, epochs


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


class ByEpoch:
    def epoch(self, e):
        return [(e, 0), (e, 1), (e, 2)]


def test_no_window_spans_two_epochs():
    assert list(islice(epochs(ByEpoch(), 2, 0), 5)) == [
        [(0, 0), (0, 1)],
        [(0, 2)],
        [(1, 0), (1, 1)],
        [(1, 2)],
        [(2, 0), (2, 1)],
    ]


def test_an_attribute_called_epoch_is_no_method():
    class Foreign(list):
        epoch = 3

    assert list(epoch_of(Foreign([1]), 0)) == [1]


def test_epochs_seed_torch_so_that_a_shuffling_loader_follows():
    class Draws:
        def __iter__(self):
            yield torch.rand(()).item()

    found = []
    for window in islice(epochs(Draws(), 1, 5), 3):
        found += window
        torch.rand(7)
    wanted = []
    for e in range(3):
        seed_all(5, "epoch", e)
        wanted.append(torch.rand(()).item())
    assert found == wanted


def test_a_spent_generator_is_found_out():
    with pytest.raises(ValueError, match="no batch in epoch 1; a generator can be read only once"):
        list(islice(epochs(iter([1, 2]), 1, 0), 3))
