"""A robust mean over a window is that of the large batch."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from danlu.data import TensorLoader
from danlu.loss import SoftMedian, TrimmedMean, cross_entropy
from danlu.train import OverWindow, Trainer, Update, evaluate

from .toys import Probing, cut, network, same, tokens


def robust_loss(reduce):
    return lambda model, batch: cross_entropy(model(batch[0]), batch[1], reduce=reduce)


def step(model, loss, window, robust=None, make=torch.optim.SGD):
    update = Update(model, loss, make(model.parameters(), lr=1.0))
    if robust is None:
        return update(window)
    with robust.ranking(model, loss, window):
        return update(window)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4))
@pytest.mark.parametrize("law", [SoftMedian(0.1), TrimmedMean(0.1, 0.3)])
@pytest.mark.parametrize("make", [torch.optim.SGD, Probing])
def test_an_update_is_that_of_the_large_batch(law, make, seed, sizes):
    batch, ends = tokens(sum(sizes), seed), []
    for window, robust in (([batch], None), (cut(batch, sizes), OverWindow(law))):
        model = network(seed)
        report = step(model, robust_loss(robust or law), window, robust, make)
        ends.append((report.loss, report.count, nn.utils.parameters_to_vector(model.parameters()).detach()))
    assert ends[1][:2] == (pytest.approx(ends[0][0], rel=1e-12), ends[0][1])
    torch.testing.assert_close(ends[1][2], ends[0][2], rtol=1e-11, atol=1e-12)


def test_beside_a_part_with_its_own_count():
    """Such a loss looks ahead, without gradients, at the micro-batches that follow."""
    batch, ends, law = tokens(9, 3), [], SoftMedian(0.1)
    for window, robust in (([batch], None), (cut(batch, [2, 4, 3]), OverWindow(law))):
        model = network()

        def loss(model, batch, reduce=robust or law):
            found, size = robust_loss(reduce)(model, batch), model(batch[0]).square().sum()
            return replace(found, parts={"size": (size, len(batch[0]))})

        report = step(model, loss, window, robust)
        ends.append((report.loss, nn.utils.parameters_to_vector(model.parameters()).detach()))
    assert ends[1][0] == pytest.approx(ends[0][0], rel=1e-12)
    torch.testing.assert_close(ends[1][1], ends[0][1], rtol=1e-11, atol=1e-12)


def test_without_it_the_micro_batches_have_medians_of_their_own():
    """What the test above can see."""
    batch, ends = tokens(9, 1), []
    for window in ([batch], cut(batch, [2, 4, 3])):
        model = network()
        step(model, robust_loss(SoftMedian(0.1)), window)
        ends.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    assert (ends[0] - ends[1]).norm() > 1e-2


def test_ranking_leaves_no_trace():
    """Dropout masks and BatchNorm statistics are those of an update without it: of equal weights, here."""
    ends = []
    for robust in (None, OverWindow(TrimmedMean(0.0, 0.0))):
        model = network(0, nn.Dropout(0.5), nn.BatchNorm1d(3))
        torch.manual_seed(1)
        window = cut(tokens(9), [4, 2, 3])
        step(model, robust_loss(robust) if robust else lambda m, b: cross_entropy(m(b[0]), b[1]), window, robust)
        ends.append((model.state_dict(), torch.get_rng_state()))
    assert same(dict(network(0).named_buffers()), {})
    for key, value in ends[0][0].items():
        torch.testing.assert_close(ends[1][0][key], value, rtol=1e-12, atol=1e-14)
    assert torch.equal(ends[0][1], ends[1][1])


def test_in_a_trainer_and_its_evaluations():
    x, y = tokens(20, 2)
    robust = OverWindow(SoftMedian(0.1))
    loss = robust_loss(robust)
    model = network()
    trainer = Trainer(model, loss, torch.optim.SGD(model.parameters(), lr=0.1), until=6, accumulate=2, observers=[])
    loader = TensorLoader(x, y, batch=4, seed=0)
    for each in trainer.steps(loader, [(x, y)]):
        with robust.ranking(model, loss, each.window):
            each.update()
    assert trainer.result.steps == 6
    alone = evaluate(model, robust_loss(SoftMedian(0.1)), [(x, y)])["valid/loss"]
    assert trainer.result.final["valid/loss"] == pytest.approx(alone, rel=1e-12)


def test_stale_or_missing_ranks_are_refused():
    robust, model = OverWindow(SoftMedian(0.1)), network()
    loss = robust_loss(robust)
    with pytest.raises(RuntimeError, match="have no ranks; update inside"):
        loss(model, tokens(3))
    with (
        robust.ranking(model, loss, cut(tokens(5), [2, 3])),
        pytest.raises(RuntimeError, match="batch 0 has 9 items, and had 6"),
    ):
        loss(model, tokens(3))
    with pytest.raises(RuntimeError, match="have no ranks"):
        loss(model, tokens(2))
    with (
        pytest.raises(ValueError, match="0 times in 1 batches"),
        robust.ranking(model, lambda m, b: cross_entropy(m(b[0]), b[1]), [tokens(3)]),
    ):
        pass
    with pytest.raises(ValueError, match="ranks whole items"):
        robust(torch.ones(3), torch.ones(3))


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr("danlu.train.over_window.Ranks", lambda model: SimpleNamespace(size=2))
    with (
        pytest.raises(ValueError, match="2 processes have a window each"),
        OverWindow(SoftMedian(0.1)).ranking(network(), lambda model, batch: None, [tokens(3)]),
    ):
        pass
