"""What an `Update` does when a loss, a gradient or a transform is not finite, and what it leaves as it was."""

import math

import pytest
import torch
from torch import nn

from danlu.train import NonFiniteError, Update

from .toys import OPTIMIZERS, Probing, bad, cut, loss, network, same, state, tokens


def poisoned(where):
    """The usual loss; batches that hold a nan give one, `where` says whether in the loss or in a gradient only."""

    def poisonous(model, batch):
        found = loss(model, [torch.nan_to_num(batch[0]), batch[1]])
        if not batch[0].isnan().any():
            return found
        # d/dw √|w − w| is not finite where the root's value is 0
        trap = (model[0].bias - model[0].bias.detach()).abs().sqrt().sum()
        return (found.total * math.inf, found.count) if where == "loss" else (found.total + trap, found.count)

    return poisonous


@pytest.mark.parametrize("where", ["loss", "gradient"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_nonfinite_window_is_raised_or_skipped_and_changes_nothing(name, where):
    model = network(0, nn.Dropout(0.5), nn.BatchNorm1d(3))
    optimizer = OPTIMIZERS[name](model.parameters())
    good, (half, other) = tokens(6), cut(tokens(6, 1), [2, 4])
    worse = [half, bad(other)]
    Update(model, poisoned(where), optimizer)([good])
    before = state(model, optimizer)
    with pytest.raises(NonFiniteError, match=r"update 0: loss is .*0\.bias") as raised:
        Update(model, poisoned(where), optimizer)(worse)
    assert same(state(model, optimizer), before)
    assert raised.value.report.skipped
    assert "\n" not in str(raised.value)
    skipping = Update(model, poisoned(where), optimizer, nonfinite="skip")
    report = skipping(worse)
    assert same(state(model, optimizer), before)
    assert report.skipped
    assert report.reason == str(raised.value)
    assert (skipping.applied, skipping.skips) == (0, 1)
    assert all(p.grad is None for p in model.parameters())
    assert not skipping([good]).skipped
    assert not same(state(model, optimizer), before)


@pytest.mark.parametrize("name", ["lbfgs", "closure"])
def test_a_nan_in_a_later_evaluation_takes_the_whole_update_back(name):
    model = network(0, nn.BatchNorm1d(3))
    optimizer = OPTIMIZERS[name](model.parameters())
    calls = []

    def second_is_nan(model, batch):
        calls.append(batch)
        found = loss(model, batch)
        return (found.total * math.nan if len(calls) == 2 else found.total), found.count

    fresh = state(model, optimizer)
    update = Update(model, second_is_nan, optimizer, nonfinite="skip")
    assert update([tokens(6)]).skipped
    assert same(state(model, optimizer), fresh)  # there was no state before the first update
    assert not update([tokens(6)]).skipped
    before = state(model, optimizer)
    assert not same(before, fresh)
    calls.clear()
    assert update([tokens(6)]).skipped
    assert len(calls) == 2
    assert same(state(model, optimizer), before)


class Growing(nn.Module):
    """Keeps a buffer as long as the longest batch, as tables of positions do."""

    def __init__(self):
        super().__init__()
        self.inner = network()
        self.register_buffer("table", torch.zeros(1, 1, 1).double())

    def forward(self, x):
        if len(x) > len(self.table):
            self.table = torch.ones(len(x), 1, 1).double()
        return self.inner(x) + self.table[: len(x)]


def test_a_buffer_that_has_grown_is_taken_back():
    model = Growing()
    skipping = Update(model, loss, torch.optim.SGD(model.parameters(), 0.1), nonfinite="skip")
    assert skipping([bad(tokens(6))]).skipped
    assert torch.equal(model.table, torch.zeros(1, 1, 1).double())
    assert not skipping(cut(tokens(6), [2, 4])).skipped
    assert model.table.shape == (4, 1, 1)


def test_a_buffer_that_grows_does_not_stop_a_closure():
    model = Growing()
    assert Update(model, loss, OPTIMIZERS["closure"](model.parameters()))(cut(tokens(6), [2, 4])).evaluations > 1
    assert model.table.shape == (4, 1, 1)


def test_an_exception_in_a_closure_takes_the_update_back_too():
    model = network()
    optimizer = Probing(model.parameters(), move=0.1)
    calls = []

    def breaks(model, batch):
        calls.append(batch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return loss(model, batch)

    before = state(model, optimizer)
    with pytest.raises(KeyboardInterrupt):
        Update(model, breaks, optimizer)([tokens(4)])
    assert same(state(model, optimizer)[:2], before[:2])


def test_a_frozen_layer_is_neither_blamed_nor_measured():
    model = network()
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    wanted = torch.autograd.grad(loss(model, tokens(5)).mean, list(model[2].parameters()))
    report = Update(model, loss, optimizer)([tokens(5)])
    assert report.grad_norm == pytest.approx(math.sqrt(sum(float((g**2).sum()) for g in wanted)), rel=1e-12)


def test_the_message_names_three_parameters_of_many():
    model = network()
    with pytest.raises(NonFiniteError) as raised:
        Update(model, loss, torch.optim.SGD(model.parameters(), lr=0.1))([bad(tokens(3))])
    text = "update 0: loss is nan, non-finite gradients in 0.weight, 0.bias, 2.weight and more; lower lr, clip, or pass"
    assert str(raised.value).startswith(text)


def test_a_norm_that_overflows_is_called_so():
    model = nn.Linear(2, 1, bias=False)
    update = Update(model, lambda m, b: (1e30 * m(b).sum(), 1), torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(NonFiniteError, match="every gradient is finite, their norm is inf"):
        update([torch.ones(1, 2)])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_window_with_every_target_masked_is_skipped(name):
    model = network(0, nn.BatchNorm1d(3))
    optimizer = OPTIMIZERS[name](model.parameters())
    update = Update(model, loss, optimizer)
    update([tokens(4)])
    before = state(model, optimizer)
    x, y = tokens(4, 1)
    report = update(cut((x, torch.full_like(y, -100)), [1, 3]))
    assert report.skipped
    assert report.count == 0
    assert math.isnan(report.loss)
    assert report.reason == "update 1: no item of the window counts (is every target masked?)"
    assert same(state(model, optimizer), before)
    assert (update.applied, update.skips) == (1, 1)


def test_a_transform_that_makes_nans_is_found_out():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def spoil(parameters):
        parameters[1].grad.fill_(math.inf)

    before = state(model, optimizer)
    with pytest.raises(NonFiniteError, match=r"after the gradient transforms, loss is 1\..*gradients in 0\.bias"):
        Update(model, loss, optimizer, transforms=[spoil])([tokens(3)])
    assert same(state(model, optimizer), before)


def test_skipping_ends_after_so_many_in_a_row():
    model = network()
    update = Update(model, loss, torch.optim.SGD(model.parameters(), lr=0.1), nonfinite="skip", max_skips=3)
    worse, masked = [bad(tokens(3))], [(tokens(3)[0], torch.full((3, 3), -100))]
    for window in (worse, worse, [tokens(3)], worse, masked, worse):
        update(window)
    assert (update.applied, update.skips) == (1, 5)
    with pytest.raises(NonFiniteError, match=r"loss is nan.*; number 3 in a row, which is max_skips"):
        update(worse)


def test_stopping_is_said_and_not_done():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    update = Update(model, loss, optimizer, nonfinite="stop")
    assert not update([tokens(3)]).stop
    before = state(model, optimizer)
    report = update([bad(tokens(3))])
    assert report.stop
    assert report.skipped
    assert same(state(model, optimizer), before)
    report = update([tokens(3)], stop=True)
    assert report.stop
    assert not report.skipped
