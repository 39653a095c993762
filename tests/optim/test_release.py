"""Gradient release: each parameter steps during backward, and the walk is that of the usual loop."""

import copy
import gc

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from danlu import optim
from danlu.optim.grad import ClipNorm
from danlu.optim.run import batch
from danlu.optim.run.kernel import compiler_for
from tests.optim.stepping import ALONE, GRADIENTS, make, same, snapshot

STEPS = 4


class Net(nn.Module):
    """A tied matrix, a layer that is used twice, one that is not used, and a frozen one."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.inner = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.idle = nn.Linear(6, 2)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.conv = nn.Conv1d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 11)
        self.head.weight = self.embed.weight

    def forward(self, words):
        x = self.inner(torch.tanh(self.inner(self.embed(words))))
        x = self.norm(self.frozen(self.conv(x.mT).mT))
        return self.head(x)


def built(name, **options):
    torch.manual_seed(0)
    net = Net()
    return net, make(name, net, **options)


def loss_of(net, step):
    words = torch.randint(11, (3, 5), generator=torch.Generator().manual_seed(step))
    return nn.functional.cross_entropy(net(words[:, :-1]).flatten(0, 1), words[:, 1:].flatten())


def usual(net, optimizer, steps):
    for i in steps:
        optimizer.zero_grad()
        loss_of(net, i).backward()
        optimizer.step()


def released(net, optimizer, steps):
    with optimizer.released():
        for i in steps:
            loss_of(net, i).backward()
            assert all(p.grad is None for p in net.parameters())


@pytest.fixture
def unstacked(monkeypatch):
    monkeypatch.setattr(batch, "_CPU", batch.Limits(0, 1))


@pytest.mark.parametrize("name", [name for name in ALONE if optim.preset(name)().needs == {"grad"}])
def test_the_walk_is_the_usual_one_bit_for_bit(name, unstacked):
    (net, ours), (other, theirs) = built(name), built(name)
    released(net, ours, range(STEPS))
    usual(other, theirs, range(STEPS))
    assert same(snapshot(ours), snapshot(theirs))
    assert same(ours.state_dict(), theirs.state_dict())
    assert ours.state[net.embed.weight]["step"] == STEPS  # tied: once per backward
    assert net.idle.weight not in ours.state


@pytest.mark.parametrize("name", ["lamb", "adafactor", "soap", "smmf"])
def test_where_the_usual_loop_stacks_it_is_the_usual_one_to_rounding(name):
    (net, ours), (other, theirs) = built(name), built(name)
    released(net, ours, range(STEPS))
    usual(other, theirs, range(STEPS))
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(compiler_for("cpu") is None, reason="needs a C++ compiler")
def test_the_kernels_walk_too():
    (net, ours), (other, theirs) = built("adamw", compile=True), built("adamw", compile=True)
    released(net, ours, range(STEPS))
    usual(other, theirs, range(STEPS))
    assert same(snapshot(ours), snapshot(theirs))


def test_a_loop_with_step_and_a_scheduler_stays_as_it_is():
    """`step` is a no-op that still runs its hooks; lr is read before each backward."""
    (net, ours), (other, theirs) = built("adamw"), built("adamw")
    seen = []
    ours.register_step_post_hook(lambda *_: seen.append(1))
    plans = [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5) for optimizer in (ours, theirs)]
    with ours.released():
        for i in range(STEPS):
            usual(net, ours, [i])
            plans[0].step()
    for i in range(STEPS):
        usual(other, theirs, [i])
        plans[1].step()
    assert same(snapshot(ours), snapshot(theirs))
    assert len(seen) == STEPS
    assert ours.state[net.inner.weight]["step"] == STEPS


def test_it_is_undone_whatever_happens():
    net, optimizer = built("adamw")
    with pytest.raises(KeyError, match="anything"), optimizer.released():
        raise KeyError("anything")
    loss_of(net, 0).backward()
    assert net.inner.weight.grad is not None
    assert not optimizer.state
    optimizer.step()
    assert optimizer.state[net.inner.weight]["step"] == 1


def test_a_block_inside_a_block_steps_once():
    (net, ours), (other, theirs) = built("adamw"), built("adamw")
    with ours.released():
        released(net, ours, range(2))
        loss_of(net, 2).backward()
    usual(other, theirs, range(3))
    assert same(snapshot(ours), snapshot(theirs))


def test_a_closure_in_the_block_returns_its_value():
    (net, ours), (other, theirs) = built("adamw"), built("adamw")

    def closure():
        loss = loss_of(net, 0)
        loss.backward()
        return loss

    with ours.released():
        value = ours.step(closure)
    usual(other, theirs, [0])
    assert value.item() == loss_of(built("adamw")[0], 0).item()
    assert same(snapshot(ours), snapshot(theirs))


def test_state_saved_and_loaded_between_blocks_goes_on_bit_for_bit():
    (net, ours), (other, theirs) = built("adamw"), built("adamw")
    released(net, ours, range(2))
    model, saved = copy.deepcopy(net.state_dict()), ours.state_dict()
    released(net, ours, range(2, 4))
    other.load_state_dict(model)
    theirs.load_state_dict(saved)
    released(other, theirs, range(2, 4))
    assert same(snapshot(ours), snapshot(theirs))


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("adamw", {"grad": ClipNorm(1.0)}, r"adamw: grad.0 \(ClipNorm\) needs all gradients together"),
        ("prodigy", {}, "prodigy: .* needs all gradients together"),
        ("sam", {}, "sam: this rule needs the closure"),
        ("adalo", {}, "adalo: this rule needs the loss"),
    ],
)
def test_what_cannot_step_alone_is_refused_and_no_hook_stays(name, options, line):
    net, optimizer = built(name, **options)
    with pytest.raises(ValueError, match=line), optimizer.released():
        pass
    loss_of(net, 0).backward()
    assert net.inner.weight.grad is not None
    assert not optimizer.state


@pytest.mark.parametrize("name", GRADIENTS)
def test_every_preset_is_released_or_refused(name):
    """None that shares anything between tensors slips through."""
    _, optimizer = built(name)
    rule = optimizer.rule()
    alone = not rule.measures and not rule.shared and rule.needs == {"grad"}
    try:
        with optimizer.released():
            assert alone
    except ValueError:
        assert not alone


def test_a_backward_at_the_average_is_refused():
    net, optimizer = built("adamw", average={"name": "ema", "decay": 0.9})
    released(net, optimizer, range(1))
    with optimizer.released(), optimizer.averaged(), pytest.raises(RuntimeError, match="averaged"):
        loss_of(net, 1).backward()
    assert optimizer.state[net.inner.weight]["step"] == 1


def test_an_lr_out_of_range_stops_backward_before_the_parameter_moves():
    net, optimizer = built("adamw")
    optimizer.param_groups[0]["lr"] = -1.0
    before = snapshot(optimizer)
    with optimizer.released(), pytest.raises(ValueError, match="lr must be in"):
        loss_of(net, 0).backward()
    assert same(snapshot(optimizer), before)


def test_a_second_use_of_moved_parameters_is_an_error_not_a_wrong_gradient():
    net, optimizer = built("adamw")
    with optimizer.released():
        loss = loss_of(net, 0)
        loss.backward(retain_graph=True)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def backward_peak(release):
    """The most bytes that are held at once, beside what was there, in a backward pass of a deep narrow network, with step."""
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Linear(128, 128, bias=False) for _ in range(30)))
    optimizer = optim.create("adamw", net, compile=False)

    def run():
        optimizer.zero_grad()
        loss = net(x).square().mean()
        loss.backward()
        optimizer.step()

    x = torch.randn(2, 128)
    with optimizer.released() if release else torch.enable_grad():
        run()  # the state is there from now on
        optimizer.zero_grad()
        gc.collect()
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            run()
    live = top = 0
    assert seen.profiler is not None
    for event in sorted(seen.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            live += event.nbytes()
            top = max(top, live)
    return top


def test_gradients_are_never_there_together():
    one = 4 * 128 * 128
    assert backward_peak(release=False) > 30 * one
    assert backward_peak(release=True) < 14 * one  # a gradient, and what an eager step holds
