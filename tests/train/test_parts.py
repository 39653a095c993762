"""Losses whose terms count differently: per token and per text."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from danlu.loss import LossSum
from danlu.train import Update, evaluate

from .toys import Probing, cut, loss, network, same, tokens

BETA = 0.7


def two_terms(model, batch):
    """Cross-entropy per token that is not masked, and an output penalty per text whose first token is not masked."""
    found = loss(model, batch)
    valid = batch[1][:, 0] != -100
    penalty = model(batch[0]).square().sum((1, 2))[valid].sum()
    return LossSum(found.total, found.count, found.measures, {"penalty": (BETA * penalty, valid.sum())})


def oracle(model, batch):
    """The mean over everything at once, by torch alone."""
    x, y = batch
    z = model(x)
    valid = y[:, 0] != -100
    return nn.functional.cross_entropy(z.flatten(0, 1), y.flatten()) + BETA * z.square().sum((1, 2))[valid].mean()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_each_part_has_its_own_count_over_the_whole_window(seed, sizes):
    batch = tokens(sum(sizes), seed, masked=0.5)
    model = network(seed)
    mean = oracle(model, batch)
    wanted = torch.autograd.grad(mean, list(model.parameters()))
    old = [p.detach().clone() for p in model.parameters()]
    report = Update(model, two_terms, torch.optim.SGD(model.parameters(), lr=1.0))(cut(batch, sizes))
    assert report.loss == pytest.approx(mean.item(), rel=1e-12)
    assert report.parts["penalty"][1] == int((batch[1][:, 0] != -100).sum())
    assert (report.count, set(report.measures)) == (int((batch[1] != -100).sum()), {"accuracy"})
    for p, w, g in zip(model.parameters(), old, wanted, strict=True):
        torch.testing.assert_close(w - p, g, rtol=1e-11, atol=1e-13)


def test_one_common_count_would_be_wrong():
    """What the test above can see: normalised by tokens throughout, the gradient is off by a tenth and more."""
    batch, model = tokens(9, 1), network()
    right = torch.autograd.grad(oracle(model, batch), list(model.parameters()))
    found = two_terms(model, batch)
    wrong = torch.autograd.grad((found.total + found.parts["penalty"][0]) / found.count, list(model.parameters()))
    norm = math.sqrt(sum(float(g.square().sum()) for g in right))
    assert math.sqrt(sum(float((a - b).square().sum()) for a, b in zip(right, wrong, strict=True))) > 0.1 * norm


def test_looking_ahead_leaves_no_trace():
    """Dropout masks and BatchNorm statistics are those of a loss without parts, in every closure call, fp16 too."""

    def with_part(model, batch):
        found = loss(model, batch)
        return LossSum(found.total, found.count, parts={"nothing": (0.0 * found.total.detach(), 1)})

    ends = []
    for function in (loss, with_part):
        model = network(0, nn.Dropout(0.5), nn.BatchNorm1d(3))
        model[3].register_buffer("table", torch.ones(2))
        torch.manual_seed(1)
        Update(model, function, Probing(model.parameters(), times=2, move=1e-3))(cut(tokens(9), [4, 2, 3]))
        ends.append((dict(model.named_buffers()), torch.get_rng_state(), [p.detach() for p in model.parameters()]))
    assert same(ends[0][:2], ends[1][:2])
    for a, b in zip(ends[0][2], ends[1][2], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


def test_a_frozen_batchnorm_survives_looking_ahead():
    model = network(0, nn.BatchNorm1d(3))
    model[2].eval()  # now backward needs the statistics
    assert not Update(model, two_terms, torch.optim.SGD(model.parameters(), lr=0.1))(cut(tokens(6), [2, 4])).skipped


def test_looking_ahead_costs_a_forward_pass_of_the_rest():
    calls = []

    def counting(model, batch):
        calls.append(torch.is_grad_enabled())
        return two_terms(model, batch)

    model = network()
    update = Update(model, counting, torch.optim.SGD(model.parameters(), lr=0.1))
    update(cut(tokens(9), [4, 2, 3]))
    assert calls == [True, False, False, True, True]
    calls.clear()
    update([tokens(9)])
    assert calls == [True]


def test_parts_in_half_precision():
    ends = []
    for precision in ("fp32", "fp16"):
        model = network().float()
        update = Update(model, two_terms, torch.optim.SGD(model.parameters(), lr=0.1), precision=precision)
        for k in range(3):
            x, y = tokens(9, k)
            update(cut((x.float(), y), [4, 5]))
        ends.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    moved = (ends[0] - nn.utils.parameters_to_vector(network().float().parameters())).norm()
    assert 0 < (ends[0] - ends[1]).norm() < 5e-3 * moved


def test_a_part_that_counts_nothing_adds_nothing():
    model, (x, y) = network(), tokens(4)
    y[:, 0] = -100
    y[0, 1] = 2
    report = Update(model, two_terms, torch.optim.SGD(model.parameters(), lr=0.1))(cut((x, y), [2, 2]))
    assert report.parts["penalty"] == (0.0, 0.0)
    assert report.loss == pytest.approx(report.total / report.count, rel=1e-14)


def test_evaluation_adds_the_means_of_the_parts():
    model, batch = network(), tokens(9, 3)
    found = evaluate(model, two_terms, cut(batch, [2, 3, 4]))
    with torch.no_grad():
        assert found["valid/loss"] == pytest.approx(oracle(model, batch).item(), rel=1e-13)
    assert set(found) == {"valid/loss", "valid/accuracy", "valid/penalty"}


@pytest.mark.parametrize(
    ("parts", "measures", "error", "words"),
    [
        ({"a": 3}, {}, TypeError, r"part 'a' must be a pair \(sum, count\)"),
        ({"a": (torch.ones(()), 1)}, {"a": (1, 1)}, ValueError, "'a' is a measure and a part"),
    ],
)
def test_what_is_no_part_is_refused(parts, measures, error, words):
    with pytest.raises(error, match=words):
        LossSum(torch.ones(()), 1, measures, parts)


@pytest.mark.parametrize("size", [2, 3])
def test_every_micro_batch_has_the_same_parts(size):
    def sometimes(model, batch):  # the first or the last one only
        return two_terms(model, batch) if len(batch[0]) == size else loss(model, batch)

    model = network()
    update = Update(model, sometimes, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="parts of the loss must be the same in every micro-batch"):
        update(cut(tokens(5), [2, 3]))
