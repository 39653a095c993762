import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from danlu.task.windows import Windows, cut

TEXT = torch.arange(1000)


@given(st.integers(17, 300), st.integers(1, 8), st.integers(1, 7), st.integers(0, 5))
def test_targets_are_one_place_further_on(size, length, batch, epoch):
    loader = Windows(torch.arange(size), length, batch=batch, seed=0)
    batches = list(loader.epoch(epoch))
    assert len(batches) == len(loader)
    inputs, targets = (torch.cat(part) for part in zip(*batches, strict=True))
    assert torch.equal(targets, inputs + 1)  # the text counts up
    assert inputs.unique().numel() == inputs.numel() > size - 3 * length


def test_epochs_are_pure_and_cut_at_other_places():
    loader = Windows(TEXT, 16, batch=8, seed=1)
    starts = [torch.cat([x for x, _ in loader.epoch(e)])[:, 0] for e in (0, 1, 0)]
    assert torch.equal(starts[0], starts[2])
    assert set((starts[0] % 16).tolist()) != set((starts[1] % 16).tolist())


def test_it_starts_at_any_batch():
    loader = Windows(TEXT, 16, batch=8, seed=1)
    whole = [x.tolist() for x, _ in loader.epoch(2)]
    assert [[x.tolist() for x, _ in loader.epoch(2, k)] for k in range(len(whole))] == [whole[k:] for k in range(len(whole))]


def test_a_batch_that_is_none_is_refused_at_once():
    with pytest.raises(ValueError, match="batch"):
        Windows(TEXT, 16, batch=0, seed=0)


@given(st.integers(2, 100), st.integers(1, 20))
def test_every_symbol_but_the_first_is_a_target_once(size, length):
    inputs, targets = cut(torch.arange(size), length)
    valid = targets != -100
    assert torch.equal(targets[valid], torch.arange(1, size))
    assert torch.equal(inputs[valid], torch.arange(size - 1))
    assert inputs.shape == targets.shape == (-(-(size - 1) // length), length)
