import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu.data import TensorLoader


def rows(batches):
    return [x.tolist() for (x,) in batches]


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 30), batch=st.integers(1, 12), shuffle=st.booleans(), drop=st.booleans(), e=st.integers(0, 9))
def test_an_epoch_has_every_row_once_in_batches_of_the_right_size(n, batch, shuffle, drop, e):
    if drop and n < batch:
        return
    loader = TensorLoader(torch.arange(n), batch=batch, shuffle=shuffle, drop_last=drop)
    found = rows(loader.epoch(e))
    sizes = [len(x) for x in found]
    assert len(loader) == len(found) == (n // batch if drop else -(-n // batch))
    assert sizes[:-1] == [batch] * (len(sizes) - 1)
    assert sizes[-1] == (batch if drop else (n - 1) % batch + 1)
    seen = sorted(i for x in found for i in x)
    if drop:
        assert len(set(seen)) == len(seen)
    else:
        assert seen == list(range(n))


def test_order_is_a_function_of_seed_and_epoch_alone():
    loader = TensorLoader(torch.arange(50), batch=7, seed=1)
    first = rows(loader.epoch(3))
    rows(loader.epoch(0))
    torch.manual_seed(99)
    torch.rand(5)
    assert rows(loader.epoch(3)) == first
    assert rows(TensorLoader(torch.arange(50), batch=7, seed=1).epoch(3)) == first
    assert sum(rows(TensorLoader(torch.arange(50), batch=8, seed=1).epoch(3)), []) == sum(first, [])  # noqa: RUF017
    assert rows(loader.epoch(4)) != first
    assert rows(TensorLoader(torch.arange(50), batch=7, seed=2).epoch(3)) != first


def test_drawing_a_batch_leaves_torch_generators_alone():
    before = torch.get_rng_state()
    rows(TensorLoader(torch.arange(9), batch=2).epoch(5))
    assert torch.equal(torch.get_rng_state(), before)


def test_iterating_is_epoch_0_every_time():
    loader = TensorLoader(torch.arange(20), batch=6)
    assert rows(loader) == rows(loader) == rows(loader.epoch(0))


def test_tensors_stay_together_and_unshuffled_batches_are_views():
    x, y = torch.arange(10), torch.arange(10) * 2
    for a, b in TensorLoader(x, y, batch=3).epoch(1):
        assert torch.equal(2 * a, b)
    assert next(TensorLoader(x, batch=3, shuffle=False).epoch(1))[0].data_ptr() == x.data_ptr()


@pytest.mark.parametrize(
    ("tensors", "options", "words"),
    [
        ((), {"batch": 2}, r"needs tensors with at least one row, got lengths \[\]"),
        ((torch.zeros(0, 3),), {"batch": 2}, r"at least one row, got lengths \[0\]"),
        ((torch.tensor(1.0),), {"batch": 2}, "at least one row"),
        ((torch.zeros(3), torch.zeros(4)), {"batch": 2}, r"one length, got \[3, 4\]"),
        ((torch.zeros(3),), {"batch": 0}, r"TensorLoader: batch must be in \[1, inf\), got 0"),
        ((torch.zeros(3),), {"batch": 4, "drop_last": True}, "drop_last leaves no batch of 3 rows and batch=4"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_one_line(tensors, options, words):
    with pytest.raises(ValueError, match=words) as raised:
        TensorLoader(*tensors, **options)
    assert "\n" not in str(raised.value)


def test_it_starts_at_any_batch():
    loader = TensorLoader(torch.arange(11), batch=4, seed=3)
    for start in range(4):
        assert [x.tolist() for (x,) in loader.epoch(2, start)] == [x.tolist() for (x,) in loader.epoch(2)][start:]
