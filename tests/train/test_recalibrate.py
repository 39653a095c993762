"""BatchNorm's statistics where a model is judged: those of the weights there, and outside as if nothing had been."""

import copy
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from danlu import optim
from danlu.data import TensorLoader
from danlu.loss import cross_entropy
from danlu.train import EarlyStop, Freeze, Recalibrate, Trainer, on

from .toys import same

EMA = {"name": "ema", "decay": 0.9}


def model(drop=0.3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(drop)
        return nn.Sequential(*body, nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()


def table(n=90, seed=0):
    draw = torch.Generator().manual_seed(seed)
    x = 2 * torch.randn(n, 6, dtype=torch.float64, generator=draw) + 1
    return x, (x[:, 0] * x[:, 1] > 1).long() + (x[:, 2] > 2).long()


def batches(size=20):
    return list(zip(*(part.split(size) for part in table()), strict=True))


def loss(net, batch):
    return cross_entropy(net(batch[0]), batch[1])


def made(net=None, optimizer=None, **options):
    net = model() if net is None else net
    optimizer = optim.create("adamw", net, 0.03, average=EMA) if optimizer is None else optimizer(net)
    return Trainer(net, options.pop("loss", loss), optimizer, **{"until": 12, "evaluate_every": 4, "observers": [], **options})


def fitted(*given, train=None, **options):
    run = made(*given, **options)
    run.fit(batches() if train is None else train, batches(45))
    return run


def judged(run):
    with run.eval_weights():
        return {name: x.clone() for name, x in run.model.state_dict().items()}


def rows(run):
    return [{name: x for name, x in row.items() if name != "seconds"} for row in run.result.history]


def expected(state, data):
    """In float64, from the law: each batch normalised by its own variance, statistics pooled over all items."""
    w = {name: x.numpy() for name, x in state.items()}
    seen = {"1": [], "5": []}
    for x, _ in data:
        h = x.numpy()
        for linear, norm in (("0", "1"), ("4", "5")):
            h = h @ w[f"{linear}.weight"].T + w[f"{linear}.bias"]
            seen[norm].append(h)
            h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5) * w[f"{norm}.weight"] + w[f"{norm}.bias"]
            h = np.maximum(h, 0)
    return {norm: (np.concatenate(found).mean(0), np.concatenate(found).var(0, ddof=1)) for norm, found in seen.items()}


@pytest.mark.parametrize("count", [1, 3])
def test_inside_they_are_those_of_the_batches_at_the_average(count):
    run = fitted(recalibrate=count)
    inside = judged(run)
    assert not torch.equal(inside["0.weight"], run.model[0].weight)
    for norm, (mean, var) in expected(inside, batches()[:count]).items():
        np.testing.assert_allclose(inside[f"{norm}.running_mean"], mean, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(inside[f"{norm}.running_var"], var, rtol=1e-11)
        assert not torch.allclose(inside[f"{norm}.running_var"], run.model.state_dict()[f"{norm}.running_var"], rtol=0.01)


@pytest.mark.parametrize("buffers", ["copy", "average"])
def test_outside_nothing_has_been(buffers):
    """Weights, statistics, random numbers and training rows are those of a run without it; only what is judged differs."""
    drawn = []
    draw = on("update", lambda clock, report: drawn.append(torch.rand(1).item()))

    def averaging(net):
        return optim.create("adamw", net, 0.03, average=EMA, buffers=buffers)

    runs = [fitted(None, averaging, recalibrate=count, callbacks=[draw]) for count in (16, 0)]
    assert same(runs[0].model.state_dict(), runs[1].model.state_dict())
    assert same(runs[0].optimizer.state_dict(), runs[1].optimizer.state_dict())
    assert drawn[:12] == drawn[12:]
    for row, other in zip(*map(rows, runs), strict=True):
        assert row["valid/loss"] != other["valid/loss"]
        own, others = ({name: x for name, x in each.items() if not name.startswith("valid/")} for each in (row, other))
        assert own == others
    before, random = copy.deepcopy(runs[0].model.state_dict()), torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), runs[0].eval_weights():
        assert not torch.equal(runs[0].model[1].running_mean, before["1.running_mean"])
        raise ZeroDivisionError
    assert same(runs[0].model.state_dict(), before)
    assert torch.equal(torch.get_rng_state(), random)


def test_a_pass_that_fails_leaves_everything_as_it_was():
    def broken(net, batch):
        net(batch[0])
        raise ZeroDivisionError

    run = made(callbacks=[Recalibrate(batches(), forward=broken)])
    before = None
    with pytest.raises(ZeroDivisionError):
        for step in run.steps(batches(), batches(45)):
            step.update()
            before = copy.deepcopy(run.model.state_dict())
    assert same(run.model.state_dict(), before)
    assert all(module.training for module in run.model.modules())


def test_they_do_not_depend_on_random_numbers_drawn_before():
    data = DataLoader(TensorDataset(*table()), batch_size=20, shuffle=True)  # not the run's own
    run = fitted(callbacks=[Recalibrate(data, count=2)])
    found = judged(run)
    run.callbacks[0].start(run.loop.clock)  # forget them
    torch.rand(3)
    assert same(judged(run), found)


def test_they_are_computed_once_for_the_same_weights(tmp_path):
    calls = []

    def forward(net, batch):
        calls.append(net.training)
        net(batch[0])

    one = Recalibrate(batches(), count=3, forward=forward)
    run = made(callbacks=[one], out=tmp_path, save_every=4, evaluate_raw=True)
    run.fit(batches(), batches(45))  # evaluations, checkpoints and the final weights: all at windows 4, 8 and 12
    assert calls == [False] * 9
    state = copy.deepcopy(run.optimizer.state_dict())
    state["state"][0]["average"] += 1e-9
    run.optimizer.load_state_dict(state)
    judged(run)
    assert len(calls) == 12


@pytest.mark.parametrize("k", [4, 6, 12])
def test_resumed_they_are_those_of_the_run_that_was_not_stopped(tmp_path, k):
    """With a frozen BatchNorm, at an evaluation, between two, and at the end, where the weights alone are written again."""

    def to(name, until):
        net, stop = model(), EarlyStop(patience="10ep", restore=True)
        run = made(net, until=until, out=tmp_path / name, resume=True, save_every=3, callbacks=[Freeze("1.*"), stop])
        run.fit(TensorLoader(*table(), batch=20), batches(45))
        numbers = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        kept = [{key: x for key, x in json.loads(line).items() if key != "seconds"} for line in numbers]
        return run, [row for row in kept if row["event"] == "evaluated"], load_file(tmp_path / name / "model.safetensors")

    whole, numbers, weights = to("whole", 12)
    first, *_ = to("parts", k)
    resumed, *found = to("parts", 12)
    assert same(judged(resumed), judged(whole))
    assert same(found[1], weights)
    if k != 6:  # which ended with an evaluation that the other run did not make
        assert same(found[0], numbers)
    assert first.result.steps == k


def test_a_frozen_norm_keeps_its_statistics_to_the_end(tmp_path):
    net = model()
    with torch.no_grad():
        net[1].running_mean.fill_(0.5)
    run = fitted(net, callbacks=[Freeze("0.*", "1.*")], out=tmp_path)
    for found in (judged(run), load_file(tmp_path / "model.safetensors")):
        assert (found["1.running_mean"] == 0.5).all()
        assert not torch.equal(found["5.running_mean"], net[5].running_mean)
    assert net[1].training


def test_early_stopping_restores_the_statistics_that_were_judged():
    stop = EarlyStop(patience=100, restore=True)
    run = fitted(callbacks=[stop], until=40)
    net = run.model.eval()
    total = sum(loss(net, batch).total for batch in batches(45)).item() / 90
    assert total == pytest.approx(run.result.best["valid/loss"], rel=1e-12)
    assert same(judged(run), dict(net.state_dict()))


@pytest.mark.parametrize(
    ("options", "name"),
    [({"precision": "bf16"}, "precision"), ({"micro_batch": 7}, "micro_batch"), ({"accumulate": 2}, "accumulate")],
)
@pytest.mark.filterwarnings("ignore:accumulate=2 with BatchNorm")
def test_with_the_ways_of_a_run(options, name):
    """The same batches, as the run computes them: in its precision, in its pieces."""
    data = [(x.float(), y) for x, y in batches()]
    run = fitted(model(0.0).float(), train=data, until=4, recalibrate=2, loss=single, **options)
    inside = judged(run)
    pieces = data[:2]
    if name == "micro_batch":
        pieces = [(part, y) for x, y in pieces for part in x.split(7)]
    wanted = expected(inside, pieces)
    for norm, (mean, var) in wanted.items():
        near = {"precision": 0.05}.get(name, 1e-4)
        np.testing.assert_allclose(inside[f"{norm}.running_mean"], mean, rtol=near, atol=near)
        np.testing.assert_allclose(inside[f"{norm}.running_var"], var, rtol=near)


def single(net, batch):
    return cross_entropy(net(batch[0].float()), batch[1])


def picture_net():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        second = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        return nn.Sequential(*first, *second, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 2))


def pictures(n, seed):
    """Which of two gratings, in noise."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (n,), generator=draw)
    line = torch.sin(torch.arange(8.0))
    x = torch.where(y[:, None, None] > 0, line, line[:, None]) + 0.7 * torch.randn(n, 8, 8, generator=draw)
    return x[:, None], y


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_averaged_model_is_better_with_them(layout):
    """Twelve updates at a high rate: statistics lag behind the weights, the model's own and averaged ones alike."""
    found = {}
    for buffers, count in (("copy", 0), ("average", 0), ("copy", 16), ("average", 16)):
        net = picture_net().to(memory_format=layout)
        optimizer = optim.create("adamw", net, 0.02, average={"name": "ema", "decay": 0.8}, buffers=buffers)
        options = {"until": 12, "observers": [], "recalibrate": count}
        run = Trainer(net, loss, optimizer, **options)
        data = TensorLoader(*pictures(256, 0), batch=32)
        found[buffers, count] = run.fit(data, TensorLoader(*pictures(200, 1), batch=100)).final["valid/loss"]
    assert found["copy", 16] == pytest.approx(found["average", 16], rel=1e-6)
    assert found["copy", 16] < 0.8 * min(found["copy", 0], found["average", 0])


def test_what_has_none_is_left_alone():
    plain = nn.Sequential(nn.Linear(6, 3)).double()
    free = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3, track_running_stats=False)).double()
    for net in (plain, free):
        assert not made(net).callbacks
        with pytest.raises(ValueError, match="Recalibrate: the model has no BatchNorm with running statistics; leave it out"):
            made(net, callbacks=[Recalibrate()])
    assert not made(optimizer=lambda net: torch.optim.SGD(net.parameters(), lr=0.1)).callbacks  # no average
    assert not made(recalibrate=0).callbacks
    own = Recalibrate(batches())
    assert made(callbacks=[own]).callbacks == [own]
    with made().eval_weights():  # before the first run there are no data, and no average either
        pass


def test_without_an_average_they_are_those_of_the_trained_weights():
    run = fitted(model(), lambda net: torch.optim.SGD(net.parameters(), lr=0.1), callbacks=[Recalibrate(count=2)])
    inside = judged(run)
    assert torch.equal(inside["0.weight"], run.model[0].weight)
    for norm, (mean, _) in expected(inside, batches()[:2]).items():
        np.testing.assert_allclose(inside[f"{norm}.running_mean"], mean, rtol=1e-11, atol=1e-12)


def test_data_that_only_the_run_may_read_are_left_alone():
    def loader():
        return DataLoader(TensorDataset(*table()), batch_size=20, shuffle=True)

    said = r"only the run may read train; give callbacks=\[Recalibrate\(batches\)\] with a list .* or recalibrate=0"
    with pytest.warns(UserWarning, match=said) as warned:
        run = fitted(train=loader())
    assert len(warned) == 1
    off = fitted(train=loader(), recalibrate=0)  # no warning: they are errors here
    assert rows(run) == rows(off)
    with pytest.warns(UserWarning, match=said):
        fitted(train=iter(batches()), until=3)
    shared = loader()
    with pytest.warns(UserWarning, match=said):
        fitted(train=shared, callbacks=[Recalibrate(shared)])
    with pytest.raises(TypeError, match="batches can be read only once"):
        Recalibrate(iter(batches()))
    with pytest.raises(ValueError, match="count"):
        Recalibrate(batches(), count=0)
