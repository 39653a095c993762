"""Recorded iterations: replays are the steps that would have been taken, whatever changes between them."""

import copy
import importlib
import math

import pytest
import torch
from torch import nn

from danlu import optim
from danlu.optim.run import kernel
from danlu.optim.values import Tick
from tests.optim.stepping import GRADIENTS, OPTIONS, Peeking
from tests.optim.tape import Recorder

graphed = importlib.import_module("danlu.optim.graphed")
STEPS = 14  # past the tenth, in which eigenbases are iterated
RECORDED = [name for name in GRADIENTS if not optim.preset(name)().shared and "loss" not in optim.preset(name)().needs]


@pytest.fixture(autouse=True)
def recorder(monkeypatch):
    own = type("Counted", (Recorder,), {})
    monkeypatch.setitem(graphed.RECORDERS, "cpu", own)
    return own


class Loop:
    """A small model on one batch in fixed memory, stepped as it is or recorded."""

    def __init__(self, name, record, net=None, **options):
        torch.manual_seed(0)
        self.net = net() if net else nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
        dtype = next(self.net.parameters()).dtype
        self.optimizer = optim.create(name, self.net, lr=0.01, compile=False, **options)
        self.x, self.y = torch.empty(8, 6, dtype=dtype), torch.empty(8, dtype=torch.long)
        self.call = optim.graphed(self.iteration, self.optimizer) if record else self.iteration
        self.draw = torch.Generator().manual_seed(1)

    def iteration(self):
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.net(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def run(self, steps, before=lambda k: None):
        losses = []
        for k in range(steps):
            self.x.copy_(torch.randn(8, 6, generator=self.draw))
            self.y.copy_(torch.randint(3, (8,), generator=self.draw))
            before(k)
            losses.append(float(self.call()))
        return losses

    @property
    def point(self):
        return torch.cat([p.detach().flatten() for p in self.net.parameters()])


def both(name, before=lambda loop, k: None, steps=STEPS, **options):
    plain, recorded = (Loop(name, record, **options) for record in (False, True))
    pairs = [loop.run(steps, lambda k, loop=loop: before(loop, k)) for loop in (plain, recorded)]
    return plain, recorded, pairs


def close(plain, recorded, pairs):
    assert torch.allclose(plain.point, recorded.point, rtol=0, atol=1e-12)
    assert pairs[0] == pytest.approx(pairs[1], abs=1e-12)


@pytest.mark.parametrize("name", RECORDED)
def test_every_preset_replays_the_steps_that_it_would_have_taken(name, recorder):
    def before(loop, k):
        for group in loop.optimizer.param_groups:
            group["lr"] = 0.02 / (1 + k)

    plain, recorded, pairs = both(name, before, **OPTIONS.get(name, {}))
    close(plain, recorded, pairs)
    for p, q in zip(plain.net.parameters(), recorded.net.parameters(), strict=True):
        ours, theirs = (loop.optimizer.state[x] for loop, x in ((plain, p), (recorded, q)))
        assert ours.keys() == theirs.keys()
        assert all(torch.allclose(x.double(), theirs[key].double(), atol=1e-6) for key, x in ours.items() if torch.is_tensor(x))
        assert {k: x for k, x in ours.items() if not torch.is_tensor(x)} == {
            k: x for k, x in theirs.items() if not torch.is_tensor(x)
        }
    assert recorder.made == (name != "shampoo")  # which decomposes its matrices in every step


def test_most_steps_are_replays(recorder):
    both("soap")
    assert recorder.aside_calls == 3 + 1 + 1  # before recording, on numbers of the device, and the tenth iteration of the bases


def test_a_schedule_and_an_option_are_seen_by_replays(recorder):
    def before(loop, k):
        loop.optimizer.param_groups[0].update(lr=0.02 / (k + 1), betas=(0.9 - 0.01 * k, 0.99), weight_decay=0.1 * k)

    close(*both("adamw", before))
    assert recorder.made == 1
    assert not torch.allclose(both("adamw", before)[1].point, both("adamw")[1].point, atol=1e-4)


def test_an_option_that_a_measure_reads_is_recorded_anew(recorder):
    def before(loop, k):
        loop.optimizer.param_groups[0]["weight_decay"] = 0.1 if k < 7 else 0.3

    close(*both("adams", before))
    assert recorder.made == 2


@pytest.mark.parametrize("name", ["sgd", "muon", "furnace"])
def test_a_global_clip_is_settled_on_the_device(name):
    close(*both(name, grad={"name": "clip_norm", "max_norm": 0.05}))


def normalised():
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()


def test_a_step_whose_sum_is_not_finite_is_called_off_and_counted():
    clip = {"name": "clip_norm", "max_norm": 0.05}
    loop = Loop("adamw", True, normalised, grad=clip, average={"name": "ema"}, buffers="average")
    loop.run(6)
    averages = loop.optimizer.state_dict()["buffers"]
    point, state = loop.point, {k: x.clone() for k, x in loop.optimizer.state_dict()["state"][0].items() if torch.is_tensor(x)}
    for bad in (math.nan, math.inf):
        loop.x.fill_(bad)
        loop.call()
    assert torch.equal(loop.point, point)
    assert all(torch.equal(loop.optimizer.state_dict()["state"][0][key], x) for key, x in state.items())
    assert loop.call.skipped == 2
    for name, found in loop.optimizer.state_dict()["buffers"].items():
        assert all(torch.equal(x, averages[name][key]) for key, x in found.items() if torch.is_tensor(x))
    for buffer in loop.net.buffers():
        buffer.zero_()  # the forward pass of the bad batch wrote them
    loop.run(1)
    assert not torch.equal(loop.point, point)
    assert loop.point.isfinite().all()


@pytest.mark.parametrize("name", ["adamw", "sgd"])  # sgd keeps no tensor, but counts
def test_a_loaded_state_is_recorded_anew(name, recorder):
    def before(loop, k):
        if k == 5:
            loop.kept = loop.optimizer.state_dict()
        if k == 9:
            loop.optimizer.load_state_dict(loop.kept)

    plain, recorded, pairs = both(name, before)
    close(plain, recorded, pairs)
    steps = [[state["step"] for state in loop.optimizer.state.values()] for loop in (plain, recorded)]
    assert steps[0] == steps[1] == [STEPS - 4] * 4
    assert recorder.made == 2


def test_a_checkpoint_goes_on_as_without_recording():
    plain, recorded = Loop("nadam", False), Loop("nadam", True)
    plain.run(STEPS)
    recorded.run(8)
    other = Loop("nadam", False)
    other.net.load_state_dict(recorded.net.state_dict())
    other.optimizer.load_state_dict(recorded.optimizer.state_dict())
    other.draw = recorded.draw
    other.run(STEPS - 8)
    assert torch.allclose(plain.point, other.point, rtol=0, atol=1e-12)


def test_tensors_at_other_steps_have_numbers_of_their_own():
    plain, recorded = Loop("adam", False), Loop("adam", False)
    for loop in (plain, recorded):
        loop.net[2].requires_grad_(False)
        loop.run(3)
        loop.net[2].requires_grad_(True)
    recorded.call = optim.graphed(recorded.iteration, recorded.optimizer)
    close(plain, recorded, [loop.run(STEPS) for loop in (plain, recorded)])
    assert {state["step"] for state in recorded.optimizer.state.values()} == {STEPS, STEPS + 3}


def test_averaged_buffers_follow_the_replays():
    def averaged(loop):
        with loop.optimizer.averaged():
            return torch.cat([x.flatten() for x in loop.net.state_dict().values() if x.is_floating_point()])

    plain, recorded, pairs = both("adamw", net=normalised, average={"name": "ema"}, buffers="average")
    close(plain, recorded, pairs)
    assert torch.allclose(averaged(plain), averaged(recorded), rtol=0, atol=1e-12)


def test_a_stochastic_rounding_draws_anew_in_each_replay():
    def net():
        return nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)).bfloat16()

    plain, recorded, _ = both("adamw", net=net, write={"name": "stochastic"}, store={"name": "bfloat16", "seed": 3})
    assert torch.allclose(plain.point.float(), recorded.point.float(), rtol=0, atol=0.02)
    assert not torch.equal(recorded.point, Loop("adamw", False, net=net).point)


def test_gradients_are_those_of_the_last_call():
    loop = Loop("soap", True)  # its tenth iteration runs between replays
    for _ in range(STEPS):
        old = copy.deepcopy(loop.net)
        old.zero_grad()
        loop.run(1)
        nn.functional.cross_entropy(old(loop.x), loop.y).backward()
        for p, then in zip(loop.net.parameters(), old.parameters(), strict=True):
            assert torch.allclose(p.grad, then.grad, rtol=0, atol=1e-12)


def test_gradients_may_be_zeroed_after_the_step():
    class After(Loop):
        def iteration(self):
            loss = nn.functional.cross_entropy(self.net(self.x), self.y)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            return loss.detach()

    plain, recorded = After("adamw", False), After("adamw", True)
    close(plain, recorded, [loop.run(STEPS) for loop in (plain, recorded)])


def test_two_optimizers_step_in_one_iteration():
    def run(record):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)).double()
        pair = optim.create("muon", net[:1], compile=False), optim.create("adamw", net[1:], compile=False)
        x = torch.ones(4, 6, dtype=torch.float64)

        def iteration():
            net.zero_grad()
            net(x).square().sum().backward()
            for one in pair:
                one.step()

        call = optim.graphed(iteration, *pair) if record else iteration
        for k in range(9):
            x.fill_(1.0 + 0.1 * k)
            call()
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    assert torch.allclose(run(True), run(False), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["adamw", "lamb", "adafactor", "adams"])
@pytest.mark.skipif(kernel.compiler_for("cpu") is None, reason="no compiler")
def test_kernels_run_on_fed_numbers(name, monkeypatch):
    """The kernels that a GPU would record, with the verdict of a clip in their vector."""
    monkeypatch.setenv("DANLU_ENGINE", "captured")
    clip = {"grad": {"name": "clip_norm", "max_norm": 0.5}}
    source = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=source) for shape in [(64, 32), (40,)]]
    rows = [[torch.randn(p.shape, generator=source) for p in start] for _ in range(5)]

    def run(fed):
        params = [nn.Parameter(p.clone()) for p in start]
        optimizer, held = optim.create(name, params, lr=0.01, compile=True, **clip), None
        for k, row in enumerate(rows):
            for p, g in zip(params, row, strict=True):
                p.grad = g.clone()
            if fed and k == 2:
                held = graphed._Held(optimizer)
            if held is None:
                optimizer.step()
                continue
            held.fits()
            held.feed()
            with held.acting():
                optimizer.step()
            held.count()
        return params

    for ours, theirs in zip(run(True), run(False), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_measure_settles_by_lr_and_the_sums_alone():
    """A recorded step hands no other number of the tick to it."""
    pieces = [piece for rule in (optim.preset(name)() for name in RECORDED) for piece in rule.measures.values()]
    assert pieces
    total = torch.tensor([2.0, 4.0], dtype=torch.float64)
    for piece in pieces:
        ticks = [Tick(t, 0.1, peak) for t, peak in ((1, 1.0), (7, 2.0))]
        a, b = (piece.settle(total, tick) for tick in ticks)
        assert all(torch.equal(torch.as_tensor(a[key]), torch.as_tensor(b[key])) for key in a)


def refused(match, make, error=ValueError, **options):
    with pytest.raises(error, match=match):
        optim.graphed(lambda: None, make, **options)


def params():
    return [nn.Parameter(torch.ones(3, 2))]


@pytest.mark.parametrize("name", sorted(set(GRADIENTS) - set(RECORDED)))
def test_what_the_host_makes_from_gradients_is_refused(name):
    refused("group 0 .*; step without graphed", optim.create(name, params()))


def test_refusals_say_what_to_do():
    refused("needs the closure", optim.create("sam", params()))
    refused("takes optimizers of danlu, got AdamW", torch.optim.AdamW(params()), TypeError)
    refused("warmup must be at least 1", optim.create("sgd", params()), warmup=0)
    hooked = optim.create("sgd", params())
    hooked.register_step_post_hook(lambda *args: None)
    refused("step hooks would run once", hooked)


def test_a_law_that_reads_on_the_host_is_refused():
    rule = optim.Rule(optim.direction.Plain(), modify=Peeking())
    refused(r"the law of group 0 decides on the host \(", optim.Optimizer(params(), rule))


def test_a_cpu_is_refused(monkeypatch):
    monkeypatch.delitem(graphed.RECORDERS, "cpu")
    refused("must all be on one CUDA device, found cpu", optim.create("sgd", params()))


def test_an_iteration_that_steps_twice_or_never_is_refused():
    loop = Loop("sgd", False)

    def twice():
        loop.iteration()
        loop.optimizer.step()

    call = optim.graphed(twice, loop.optimizer, warmup=1)
    loop.x.zero_(), loop.y.zero_()
    call()
    with pytest.raises(RuntimeError, match=r"calls step\(\) twice"):
        call()
    never = optim.graphed(lambda: None, loop.optimizer, warmup=1)
    never()
    with pytest.raises(RuntimeError, match=r"does not call step\(\)"):
        never()


def test_a_closure_is_not_swallowed():
    loop = Loop("sgd", False)
    call = optim.graphed(lambda: loop.optimizer.step(lambda: 0.0), loop.optimizer, warmup=1)
    call()
    with pytest.raises(RuntimeError, match="without"):
        call()


def test_a_graph_that_somebody_else_records_is_refused(monkeypatch):
    from danlu.optim import members

    class OnGpu:
        is_cuda = True

    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match=r"optim\.graphed"):
        members.refuse_capture(OnGpu())
