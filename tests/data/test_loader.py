# ruff: noqa: NPY002 - the generators that datasets use
"""The keyed loader: the same samples, augmentation included, whoever reads them and wherever one begins."""

import random
import signal

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from danlu.data import Loader, TensorLoader


class Noisy(Dataset):
    """Sample i: its number, and a draw from each of the three generators."""

    def __init__(self, n=11):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return torch.tensor([i, torch.rand(()).item(), random.random(), np.random.rand()], dtype=torch.float64)


def rows(loader, epoch, start=0):
    return torch.cat(list(loader.epoch(epoch, start)))


def test_every_sample_once_in_an_order_of_the_epoch():
    loader = Loader(Noisy(), batch=4, seed=5)
    first, second = rows(loader, 0), rows(loader, 1)
    assert len(loader) == 3
    assert sorted(first[:, 0].tolist()) == sorted(second[:, 0].tolist()) == list(range(11))
    assert first[:, 0].tolist() != second[:, 0].tolist()
    assert torch.equal(rows(loader, 0), first)
    assert torch.equal(torch.cat(list(loader)), first)
    assert not torch.equal(rows(Loader(Noisy(), batch=4, seed=6), 0), first)


def test_a_sample_depends_on_the_epoch_and_its_index_alone():
    """Not on its batch, nor on what stands before it."""
    ordered = rows(Loader(Noisy(), batch=4, shuffle=False), 3)
    shuffled = rows(Loader(Noisy(), batch=3), 3)
    assert torch.equal(shuffled[shuffled[:, 0].argsort()], ordered)
    assert not torch.equal(rows(Loader(Noisy(), batch=4, shuffle=False), 4)[:, 1:], ordered[:, 1:])
    assert all(len(set(ordered[:, k].tolist())) == 11 for k in (1, 2, 3))


def test_two_workers_read_what_this_process_reads():
    assert torch.equal(rows(Loader(Noisy(), batch=4, workers=2), 2), rows(Loader(Noisy(), batch=4), 2))


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_it_starts_at_any_batch(start):
    loader = Loader(Noisy(), batch=4)
    whole = list(loader.epoch(2))
    assert len(list(loader.epoch(2, start))) == 3 - start
    assert all(torch.equal(a, b) for a, b in zip(whole[start:], loader.epoch(2, start), strict=True))


def test_what_is_before_the_start_is_not_read():
    class Watched(Noisy):
        read = 0

        def __getitem__(self, i):
            self.read += 1
            return super().__getitem__(i)

    data = Watched()
    next(Loader(data, batch=4).epoch(0, start=2))
    assert data.read == 3


def test_ranks_share_the_batches_of_one():
    whole = list(Loader(Noisy(12), batch=4).epoch(1))
    parts = [list(Loader(Noisy(12), batch=4, rank=r, world=2).epoch(1)) for r in range(2)]
    for batch, even, odd in zip(whole, *parts, strict=True):
        assert torch.equal(batch[0::2], even)
        assert torch.equal(batch[1::2], odd)


def test_the_generators_of_this_process_are_not_touched():
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    expected = torch.rand(2).tolist(), random.random(), np.random.rand()
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    rows(Loader(Noisy(), batch=4), 0)
    list(Loader(Noisy(), batch=4, workers=1).epoch(0))
    assert (torch.rand(2).tolist(), random.random(), np.random.rand()) == expected


def test_drop_last():
    assert len(rows(Loader(Noisy(), batch=4, drop_last=True), 0)) == 8


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Loader(Noisy(0), batch=4), "Loader: 0 samples make no batch of 4; lower batch or keep the last"),
        (
            lambda: Loader(Noisy(3), batch=4, drop_last=True),
            "3 samples make no batch of 4; lower batch or keep the last",
        ),
        (lambda: Loader(Noisy(), batch=0), r"Loader: batch must be in [1, inf), got 0"),
        (lambda: Loader(Noisy(9), batch=4, world=2), "every rank needs a sample of every batch: rank 0 of 2, smallest batch 1"),
        (lambda: Loader(Noisy(8), batch=4, rank=2, world=2), "rank 2 of 2"),
        (lambda: Loader(Noisy(), batch=4, num_workers=2), "Loader: takes no num_workers; use workers="),
        (lambda: Loader(Noisy(), batch=4, sampler=range(3)), "Loader: takes no sampler; use shuffle= or weights="),
        (lambda: Loader(Stream(), batch=4), "an IterableDataset has no order to key"),
    ],
)
def test_refused(make, message):
    with pytest.raises((ValueError, TypeError)) as raised:
        make()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


class Opened:
    """A dataset that each worker opens for itself."""

    number = -1

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return self.number, signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def opened(worker):
    get_worker_info().dataset.dataset.number = worker


def test_a_worker_is_started_by_the_users_function_too():
    found = list(Loader(Opened(), batch=4, workers=2, worker_init_fn=opened).epoch(0))
    assert [(set(number.tolist()), bool(quiet.all())) for number, quiet in found] == [({0}, True), ({1}, True)]


def test_weights_draw_the_samples_that_a_tensor_loader_draws():
    weights = torch.arange(11.0) ** 2
    found = rows(Loader(Noisy(), batch=4, seed=5, weights=weights), 3)[:, 0]
    (expected,) = zip(*TensorLoader(torch.arange(11.0), batch=11, seed=5, weights=weights).epoch(3), strict=True)
    assert torch.equal(found, expected[0].to(found))
    assert 0 not in found.tolist()
    with pytest.raises(ValueError, match="Loader: weights must be 11 finite numbers"):
        Loader(Noisy(), batch=4, weights=weights[1:])
