"""Half precision: loss scaling against torch's GradScaler, overflows that cost an evaluation and nothing else."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from danlu.train import LossScaler, NonFiniteError, Update, evaluate

from .toys import Probing, cut, loss, network, same, state, tokens


def single(model):
    return model.float()


def batch(n, seed=0, masked=0.4):
    x, y = tokens(n, seed, masked=masked)
    return x.float(), y


def run(
    precision, windows, *, optimizer=lambda p: torch.optim.SGD(p, lr=0.3, momentum=0.9), scale=2.0**16, clip=None, extra=()
):
    model = single(network(0, *(make() for make in extra)))
    update = Update(model, loss, optimizer(model.parameters()), precision=precision, clip=clip)
    if update.scaler:
        update.scaler.scale = scale
    torch.manual_seed(3)
    return model, [update(window) for window in windows], update


def weights(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def test_the_scale_and_the_weights_are_those_of_gradscaler():
    """GradScaler's loop, except that it tries the same batch again: then every number agrees to the bit."""
    batches = [batch(5, k) for k in range(12)]
    theirs = single(network())
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=3)
    wanted = []
    for x, y in batches:
        while True:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.float16):
                found = loss(theirs, (x, y))
            scaler.scale(found.total / found.count).backward()
            scaler.step(optimizer)
            tried = scaler.get_scale()
            scaler.update()
            if scaler.get_scale() >= tried:
                break
        wanted.append(scaler.get_scale())
    ours = single(network())
    update = Update(ours, loss, torch.optim.AdamW(ours.parameters(), lr=0.01), precision="fp16")
    update.scaler.scale, update.scaler.interval = 2.0**40, 3
    found, backoffs = [], 0
    for each in batches:
        backoffs += update([each]).backoffs
        found.append(update.scaler.scale)
    assert found == wanted
    assert backoffs > 15  # from 2⁴⁰ down, and again after each growth
    assert len(set(found)) > 1
    assert torch.equal(weights(ours), weights(theirs))
    assert not torch.equal(weights(ours), weights(single(network())))


def test_gradscalers_constants():
    scaler, theirs = LossScaler(), torch.amp.GradScaler("cpu")
    assert (scaler.scale, scaler.interval) == (theirs._init_scale, theirs.get_growth_interval())
    for _ in range(scaler.interval - 1):
        scaler.count()
    assert (scaler.scale, scaler.good) == (2.0**16, 1999)
    scaler.count()
    assert scaler.scale == 2.0**16 * theirs.get_growth_factor()
    assert scaler.shrink()
    assert (scaler.scale, scaler.good) == (2.0**17 * theirs.get_backoff_factor(), 0)


@pytest.mark.parametrize(("precision", "near"), [("fp16", 3e-3), ("bf16", 3e-2)])
def test_ragged_accumulation_follows_float32(precision, near):
    windows = [cut(batch(sum(sizes), k), sizes) for k, sizes in enumerate([(3, 1, 5), (2,), (1, 1, 1, 6), (4, 4)])]
    exact, reports, _ = run("fp32", windows, clip=0.5)
    half, found, _ = run(precision, windows, clip=0.5)
    start = weights(single(network()))
    moved = (weights(exact) - start).norm()
    assert (weights(half) - weights(exact)).norm() < near * moved
    assert not torch.equal(weights(half), weights(exact))
    for a, b in zip(found, reports, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=near)
        assert a.grad_norm == pytest.approx(b.grad_norm, rel=10 * near)
        assert a.count == b.count


def test_clipping_and_the_report_are_about_unscaled_gradients():
    model, (report,), update = run("fp16", [cut(batch(9), [4, 5])], clip=1e-2)
    norm = math.sqrt(sum(float((p.grad**2).sum()) for p in model.parameters()))
    assert norm == pytest.approx(1e-2, rel=1e-5)
    assert 0.01 < report.grad_norm < 10
    assert report.clipped
    assert report.scale == update.scaler.scale == 2.0**16


def test_an_overflow_costs_evaluations_and_changes_nothing_else():
    """From a scale that is far too large: the same masks, statistics and random numbers as from the right one."""
    windows = [cut(batch(6, k), [4, 2]) for k in range(3)]
    extra = lambda: nn.Dropout(0.5), lambda: nn.BatchNorm1d(3)
    high, (first, *rest), update = run("fp16", windows, scale=2.0**40, extra=extra)
    after = torch.get_rng_state()
    low, reports, _ = run("fp16", windows, scale=update.scaler.scale, extra=extra)
    assert first.backoffs == math.log2(2.0**40 / update.scaler.scale) > 5
    assert sum(report.backoffs for report in (*rest, *reports)) == 0
    assert first.evaluations == 1
    assert same(high.state_dict(), low.state_dict())
    assert torch.equal(torch.get_rng_state(), after)
    assert [r.loss for r in reports] == [r.loss for r in (first, *rest)]


def test_closures_back_off_within_one_evaluation():
    windows = [cut(batch(6), [4, 2])]
    make = lambda p: Probing(p, times=3, move=1e-3)  # noqa: E731
    high, (report,), update = run("fp16", windows, optimizer=make, scale=2.0**40, extra=(nn.Dropout,))
    low, _, _ = run("fp16", windows, optimizer=make, scale=update.scaler.scale, extra=(nn.Dropout,))
    assert report.evaluations == 3
    assert report.backoffs > 5
    assert same(high.state_dict(), low.state_dict())


def spoiled(model, batch):
    """A finite loss with a nan among its gradients, whatever the scale."""
    found = loss(model, batch)
    return found.total + (model[0].bias - model[0].bias.detach()).abs().sqrt().sum(), found.count


def test_what_no_scale_can_mend_is_given_up_and_leaves_the_scale():
    model = single(network(0, nn.Dropout(0.5), nn.BatchNorm1d(3)))
    optimizer = torch.optim.AdamW(model.parameters())
    update = Update(model, spoiled, optimizer, precision="fp16")
    before, numbers = state(model, optimizer), update.state_dict()
    with pytest.raises(NonFiniteError, match=r"update 0: loss is 1\..*non-finite gradients in 0\.bias") as raised:
        update([batch(4)])
    assert raised.value.report.backoffs == 16  # down to a scale of 1
    assert same(state(model, optimizer), before)
    assert update.state_dict() == numbers


def test_a_loss_that_is_not_finite_is_not_tried_again():
    calls = []

    def infinite(model, batch):
        calls.append(1)
        return loss(model, batch).total * math.inf, 1

    model = single(network())
    update = Update(model, infinite, torch.optim.SGD(model.parameters(), lr=0.1), precision="fp16", nonfinite="skip")
    report = update([batch(3)])
    assert report.skipped
    assert (report.backoffs, len(calls)) == (0, 1)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_the_loss_runs_in_half_precision_and_backward_outside_it(precision, dtype):
    seen = []

    def watching(model, batch):
        out = model(batch[0])
        out.register_hook(lambda g: seen.append(torch.is_autocast_enabled("cpu")))
        seen.append(out.dtype)
        return functional.cross_entropy(out.flatten(0, 1), batch[1].flatten(), reduction="sum"), (batch[1] != -100).sum()

    model = single(network())
    update = Update(model, watching, torch.optim.SGD(model.parameters(), lr=0.1), precision=precision)
    update([batch(4)])
    assert seen == [dtype, False]
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in model.parameters())
    with torch.no_grad():
        evaluate(model, lambda m, b: (seen.append(m(b[0]).dtype), loss(m, b))[1], [batch(2)], precision=precision)
    assert seen[-1] is dtype


def test_float16_weights_are_refused():
    model = network().half()
    with pytest.raises(ValueError, match=r"keeps the weights in float32, got float16 ones; use model.float\(\)"):
        Update(model, loss, torch.optim.SGD(model.parameters(), lr=0.1), precision="fp16")


def test_a_window_with_nothing_to_count_settles_nothing():
    model = single(network())
    update = Update(model, loss, torch.optim.SGD(model.parameters(), lr=0.1), precision="fp16")
    x, y = batch(4)
    assert update(cut((x, torch.full_like(y, -100)), [2, 2])).skipped
    assert update.scaler.nominal is None
    assert not update(cut((x, y), [1, 3])).skipped
    assert update.scaler.nominal == int((y != -100).sum())


def test_a_resumed_update_goes_on_where_it_was():
    windows = [cut(batch(6, k), [4, 2]) for k in range(6)]
    whole, _, ended = run("fp16", windows, scale=2.0**40)
    half, _, update = run("fp16", windows[:3], scale=2.0**40)
    saved = update.state_dict()
    again = Update(half, loss, update.optimizer, precision="fp16")
    again.load_state_dict(saved)
    assert again.state_dict() == saved
    for window in windows[3:]:
        again(window)
    assert same(whole.state_dict(), half.state_dict())
    assert again.state_dict() == ended.state_dict()


def test_a_state_that_does_not_fit_changes_nothing():
    model = single(network())
    update = Update(model, loss, torch.optim.SGD(model.parameters(), lr=0.1), precision="fp16")
    before = update.state_dict()
    bad = {**before, "applied": 7, "scaler": {**before["scaler"], "scale": -1.0}}
    for wrong, words in [(bad, "scale must be in"), ({**before, "scaler": {}}, "must have"), ({"applied": 1}, "no 'in_a_row'")]:
        with pytest.raises(ValueError, match=words):
            update.load_state_dict(wrong)
        assert update.state_dict() == before
