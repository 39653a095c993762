from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader

from danlu.keyed import seed_all
from danlu.train.feed import feed


class ByEpoch:
    def epoch(self, e):
        return [(e, 0), (e, 1), (e, 2)]


class Keyed(ByEpoch):
    asked = ()

    def epoch(self, e, start=0):
        self.asked += ((e, start),)
        return super().epoch(e)[start:]


def first(n, *arguments):
    return list(islice(feed(*arguments), n))


def test_no_window_spans_two_epochs():
    assert first(5, ByEpoch(), 2, 0) == [
        (0, [(0, 0), (0, 1)]),
        (0, [(0, 2)]),
        (1, [(1, 0), (1, 1)]),
        (1, [(1, 2)]),
        (2, [(2, 0), (2, 1)]),
    ]


@pytest.mark.parametrize("data", [ByEpoch(), Keyed()])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_from_any_place(data, accumulate):
    whole = first(8, data, accumulate, 0)
    for k in range(1, 5):
        epochs, within = divmod(k, 3 if accumulate == 1 else 2)
        assert first(8 - k, data, accumulate, 0, epochs, within) == whole[k:]


def test_from_the_very_end_of_an_epoch():
    assert first(1, ByEpoch(), 1, 0, 4, 3) == [(5, [(5, 0)])]


def test_a_start_is_asked_for_in_batches():
    data = Keyed()
    first(2, data, 2, 0, 1, 1)
    assert data.asked == ((1, 2), (2, 0))


def test_torch_is_seeded_before_each_epoch_and_each_window():
    class Draws:
        def __iter__(self):
            order = torch.rand(()).item()
            for _ in range(3):
                yield order, torch.rand(()).item()

    found = []
    for _, window in islice(feed(Draws(), 1, 5), 4):
        found += window
        torch.rand(7)  # what happens between does not matter
    wanted = []
    for e, k in [(0, 0), (0, 1), (0, 2), (1, 0)]:
        seed_all(5, "epoch", e)
        order = torch.rand(()).item()
        if k:
            seed_all(5, "fetch", e, k)
        wanted.append((order, torch.rand(()).item()))
    assert found == wanted
    with pytest.warns(UserWarning, match="train is not keyed: its first 2 batches are read again"):
        assert first(1, Draws(), 1, 5, 0, 2)[0][1] == [found[2]]


def test_workers_that_stay_are_said_to_spoil_a_resume():
    data = DataLoader(range(6), batch_size=2, num_workers=1, persistent_workers=True)
    with pytest.warns(UserWarning, match="only if .* come from torch's generators, and workers do not persist$"):
        first(1, data, 1, 0, 1, 1)


def test_a_spent_generator_is_found_out():
    with pytest.raises(ValueError, match="no batch in epoch 1; a generator can be read only once"):
        first(3, iter([1, 2]), 1, 0)
