import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from danlu.train import Update
from danlu.train.gradients import norms

from .toys import OPTIMIZERS, Probing, WantsLoss, bad, cut, loss, network, same, tokens


def large_batch_training(model, optimizer, updates, clip):
    """The oracle: one batch per update, torch's own mean, the clipping formula by hand."""

    def evaluate(batch):
        optimizer.zero_grad()
        x, y = batch
        mean = functional.cross_entropy(model(x).flatten(0, -2), y.flatten())
        mean.backward()
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in model.parameters()))
        for p in model.parameters():
            p.grad *= clip / max(norm, clip) if clip else 1.0
        return mean.detach()

    for batch in updates:
        if isinstance(optimizer, (torch.optim.LBFGS, Probing)):
            with torch.enable_grad():
                optimizer.step(lambda batch=batch: evaluate(batch))
        else:
            evaluate(batch)
            optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    windows=st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=5), min_size=1, max_size=3),
    masked=st.sampled_from([0.0, 0.3, 0.8]),
    clip=st.sampled_from([None, 0.05, 1e3]),
)
def test_weights_equal_those_of_the_large_batch(name, seed, windows, masked, clip):
    near = 1e-12
    if name == "lbfgs":  # it divides by differences of gradients, worst when all are clipped to the same norm
        near, clip = 1e-9, None if clip == 0.05 else clip
    updates = [tokens(sum(sizes), seed + k, masked=masked) for k, sizes in enumerate(windows)]
    model, oracle = network(seed), network(seed)
    update = Update(model, loss, OPTIMIZERS[name](model.parameters()), clip=clip)
    for batch, sizes in zip(updates, windows, strict=True):
        report = update(cut(batch, sizes))
        assert report.count == int((batch[1] != -100).sum())
    large_batch_training(oracle, OPTIMIZERS[name](oracle.parameters()), updates, clip)
    start = network(seed)
    for new, wanted, old in zip(model.parameters(), oracle.parameters(), start.parameters(), strict=True):
        torch.testing.assert_close(new, wanted, rtol=near, atol=near)
        assert not torch.equal(new, old)


def test_golden_token_windows(golden):
    data = golden("B_gradient_accumulation__torch_autograd")

    class Bigram(nn.Module):
        def __init__(self):
            super().__init__()
            self.E, self.W = (nn.Parameter(torch.tensor(data[name])) for name in ("E", "W"))

        def forward(self, x):
            return self.E[x] @ self.W.T

    model = Bigram()
    sizes = np.diff(data["micro"]).tolist()
    window = cut((torch.as_tensor(data["tokens"]), torch.as_tensor(data["labels"])), sizes)
    report = Update(model, loss, torch.optim.SGD([model.W], lr=1.0))(window)
    gradient = data["W"] - model.W.detach().numpy()
    assert report.count == data["n_tokens"]
    assert report.loss == pytest.approx(float(data["loss_full"]), rel=1e-14)
    np.testing.assert_allclose(gradient, data["grad_full"], atol=1e-14)
    assert np.abs(data["grad_naive_mean_of_means"] - data["grad_full"]).max() > 1e-2  # what the test can see


def test_report_has_the_numbers_before_the_update():
    model, batch = network(), tokens(7)
    with torch.no_grad():
        before = loss(model, batch)
    optimizer = torch.optim.SGD([{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.5}], lr=0.1)
    gradient = np.concatenate([g.flatten().numpy() for g in torch.autograd.grad(loss(model, batch).mean, model.parameters())])
    report = Update(model, loss, optimizer)(cut(batch, [2, 5]))
    assert report.loss == pytest.approx(before.mean.item(), rel=1e-14)
    assert report.measures == {"accuracy": tuple(map(float, before.measures["accuracy"]))}
    assert report.grad_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-13)
    assert (report.clipped, report.skipped, report.lr, report.reason) == (False, False, [0.1, 0.5], "")


def test_clipping_comes_after_normalisation_and_keeps_the_direction():
    model, batch = network(), tokens(8)
    free = torch.autograd.grad(loss(model, batch).mean, model.parameters())
    norm = math.sqrt(sum(float((g**2).sum()) for g in free))
    for clip in (norm / 3, norm * 3):
        weights = [p.detach().clone() for p in model.parameters()]
        report = Update(model, loss, torch.optim.SGD(model.parameters(), lr=1.0), clip=clip)(cut(batch, [1, 7]))
        assert report.clipped == (clip < norm)
        assert report.grad_norm == pytest.approx(norm, rel=1e-12)
        for p, w, g in zip(model.parameters(), weights, free, strict=True):
            torch.testing.assert_close(w - p, g * min(1, clip / norm), rtol=1e-11, atol=1e-15)
            p.data.copy_(w)


def test_a_norm_equal_to_the_bound_is_left_alone_to_the_bit():
    model, batch = network(), tokens(8)
    gradients = []
    norm = Update(model, loss, torch.optim.SGD(model.parameters(), lr=0.0))([batch]).grad_norm
    for clip in (None, norm):
        report = Update(model, loss, torch.optim.SGD(model.parameters(), lr=0.0), clip=clip)([batch])
        assert not report.clipped
        gradients.append([p.grad.clone() for p in model.parameters()])
    assert same(*gradients)


def test_the_closure_is_the_same_function_at_every_call():
    model = network(0, nn.Dropout(0.5), nn.BatchNorm1d(3))
    once = copy.deepcopy(model)
    optimizer = Probing(model.parameters(), times=3)
    window = cut(tokens(9), [4, 5])
    torch.manual_seed(5)
    Update(model, loss, optimizer)(window)
    after = torch.get_rng_state()
    first, *later = optimizer.seen
    assert len(later) == 2
    assert all(same(first, seen) for seen in later)  # masks and all: loss and gradients agree to the bit
    torch.manual_seed(5)
    for batch in window:
        loss(once, batch)
    assert same(list(once.buffers()), list(model.buffers()))  # statistics moved by one pass
    assert int(model[3].num_batches_tracked) == 2
    assert torch.equal(torch.get_rng_state(), after)  # so did the random numbers
    Update(model, loss, optimizer)(window)
    assert not same(optimizer.seen[3], first)


def test_what_an_optimizer_draws_between_evaluations_is_not_repeated():
    class Draws(Probing):
        def step(self, evaluate):
            self.drawn = [(evaluate(), torch.rand(()).item())[1] for _ in range(3)]

    model = network(0, nn.Dropout(0.5))
    optimizer = Draws(model.parameters())
    Update(model, loss, optimizer)([tokens(4)])
    assert len(set(optimizer.drawn)) == 3


def test_the_closure_gives_normalised_clipped_gradients_and_the_mean():
    model, batch = network(), tokens(9)
    optimizer = Probing(model.parameters(), times=2, move=0.05)
    moved = copy.deepcopy(model)
    first = loss(model, batch).mean.item()
    report = Update(model, loss, optimizer, clip=1e-3)(cut(batch, [4, 5]))
    assert report.loss == pytest.approx(first, rel=1e-13)  # of the first evaluation; the second differs by 1e-2
    with torch.no_grad():
        for p in moved.parameters():
            p.add_(0.05)
    mean = loss(moved, batch).mean
    free = torch.autograd.grad(mean, moved.parameters())
    norm = math.sqrt(sum(float((g**2).sum()) for g in free))
    value, gradients = optimizer.seen[1]
    assert not value.requires_grad
    torch.testing.assert_close(value, mean.detach(), rtol=1e-13, atol=0)
    for g, f in zip(gradients, free, strict=True):
        torch.testing.assert_close(g, f * 1e-3 / norm, rtol=1e-11, atol=1e-16)


def test_an_optimizer_that_needs_the_loss_gets_the_mean():
    model, batch = network(), tokens(6)
    mean = loss(model, batch).mean.detach()
    optimizer = WantsLoss(model.parameters())
    Update(model, loss, optimizer)(cut(batch, [1, 5]))
    torch.testing.assert_close(optimizer.given[0], mean, rtol=1e-14, atol=0)
    assert not optimizer.given[0].requires_grad


def test_needs_are_checked():
    model = network()
    optimizer = WantsLoss(model.parameters())
    optimizer.needs = frozenset({"closur"})
    with pytest.raises(ValueError, match="WantsLoss needs 'closur'; did you mean 'closure'"):
        Update(model, loss, optimizer)

    class Lazy(Probing):
        def step(self, evaluate):
            pass

    with pytest.raises(RuntimeError, match=r"Lazy\.step did not call the closure that it needs"):
        Update(model, loss, Lazy(model.parameters()))([tokens(3)])


def test_a_bare_mean_is_exact_only_in_a_window_of_one():
    model, (x, y) = network(), tokens(6, masked=0.0)

    def mean(model, batch):
        return functional.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())

    twin = network()
    Update(model, mean, torch.optim.SGD(model.parameters(), lr=0.1))([(x, y)])
    Update(twin, loss, torch.optim.SGD(twin.parameters(), lr=0.1))([(x, y)])
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-15)
    with pytest.raises(TypeError, match="means of batches do not add up"):
        Update(model, mean, torch.optim.SGD(model.parameters(), lr=0.1))(cut((x, y), [3, 3]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, o: Update(m, loss, o)([]), "the window is empty"),
        (lambda m, o: Update(m, loss, o, clip=0.0), r"Update: clip must be .*\(0, inf\).* got 0.0"),
        (lambda m, o: Update(m, loss, o, nonfinite="ignore"), "nonfinite must be one of raise, skip, stop, got 'ignore'"),
        (lambda m, o: Update(m, lambda m, b: (loss(m, b).total, -1), o)([tokens(2)]), "counted -1.0 items"),
        (lambda m, o: Update(m, lambda m, b: (loss(m, b).total.detach(), 1), o)([tokens(2)]), "received a gradient"),
        (lambda m, o: Update(network(1), loss, o)([tokens(2)]), "was the optimizer made for another model"),
    ],
)
def test_what_makes_no_update_is_refused_in_one_line(call, words):
    model = network()
    with pytest.raises(ValueError, match=words) as raised:
        call(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert "\n" not in str(raised.value)


def test_a_sparse_gradient_is_normalised_clipped_and_measured():
    sparse, dense = (nn.Embedding(6, 3, sparse=kind).double() for kind in (True, False))
    dense.weight.data.copy_(sparse.weight.data)
    reports = []
    for model in (sparse, dense):
        update = Update(model, lambda m, b: (m(b).square().sum(), 5), torch.optim.SGD(model.parameters(), 1.0), clip=0.1)
        reports.append(update([torch.tensor([1, 1, 2]), torch.tensor([2, 5])]))
    assert reports[0].grad_norm == pytest.approx(reports[1].grad_norm, rel=1e-13)
    torch.testing.assert_close(sparse.weight, dense.weight, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("micro_batch", [1, 4, 100])
def test_micro_batches_change_the_memory_and_not_the_update(micro_batch):
    sizes = []

    def watching(model, batch):
        sizes.append(len(batch[0]))
        return loss(model, batch)

    ends = []
    for options in ({}, {"micro_batch": micro_batch}):
        model = network()
        update = Update(model, watching, torch.optim.AdamW(model.parameters(), lr=0.1), **options)
        reports = [update(cut(tokens(9, k), [6, 3])) for k in range(3)]
        ends.append((list(model.parameters()), [r.loss for r in reports]))
    assert max(sizes[6:]) == min(6, micro_batch)
    assert ends[1][1] == pytest.approx(ends[0][1], rel=1e-12)
    for a, b in zip(ends[0][0], ends[1][0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


def test_batches_are_split_as_you_say():
    model = network()

    def halves(batch, size):
        assert size == 2
        return cut(batch, [1, 5])

    update = Update(model, loss, torch.optim.SGD(model.parameters(), lr=0.1), micro_batch=2, split=halves)
    assert update([tokens(6)]).count == int((tokens(6)[1] != -100).sum())


def test_transforms_see_the_gradient_of_the_mean_and_come_before_clipping():
    model, batch = network(), tokens(8)
    free = torch.autograd.grad(loss(model, batch).mean, model.parameters())
    norm = math.sqrt(sum(float((g**2).sum()) for g in free))
    seen = []

    def double(parameters):
        seen.append([p.grad.clone() for p in parameters])
        for p in parameters:
            p.grad *= 2

    weights = [p.detach().clone() for p in model.parameters()]
    update = Update(model, loss, torch.optim.SGD(model.parameters(), lr=1.0), transforms=[double, double], clip=norm)
    report = update(cut(batch, [1, 7]))
    assert report.clipped  # at 4 times the norm
    assert report.grad_norm == pytest.approx(norm, rel=1e-12)
    for p, w, g, once, twice in zip(model.parameters(), weights, free, *seen, strict=True):
        torch.testing.assert_close(once, g, rtol=1e-11, atol=1e-15)
        torch.testing.assert_close(twice, 2 * g, rtol=1e-11, atol=1e-15)
        torch.testing.assert_close(w - p, g, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("answers", [[False], [False, None], [None]])
def test_only_a_transform_that_says_false_saves_the_second_norm(answers, monkeypatch):
    taken = []
    monkeypatch.setattr("danlu.train.objective.norms", lambda gradients: taken.append(1) or norms(gradients))
    model, other, batch = network(), network(), tokens(8)
    transforms = [lambda parameters, answer=answer: answer for answer in answers]
    looked = Update(model, loss, torch.optim.SGD(model.parameters(), lr=1.0), transforms=transforms, clip=0.01)([batch])
    assert len(taken) == (1 if answers == [False] else 2)
    assert looked == Update(other, loss, torch.optim.SGD(other.parameters(), lr=1.0), clip=0.01)([batch])
    assert looked.clipped
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))


def test_torch_schedulers_follow_applied_updates():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    update = Update(model, loss, optimizer, nonfinite="skip")
    seen = []
    for window in ([tokens(3)], [bad(tokens(3))], [tokens(3)], [tokens(3)]):
        report = update(window)
        if not report.skipped:
            scheduler.step()
        seen.append(report.lr[0])
    assert seen == [1.0, 0.5, 0.5, 0.25]
