"""The finders of learning rate and micro-batch: what they find, and that nothing is left of the trial."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from danlu.data import TensorLoader
from danlu.optim import create
from danlu.train import LRCurve, Update, borrowed, find_micro_batch, lr_find

from .toys import loss, network, same, tokens

OPTIMIZERS = {
    "adamw": lambda p: create("adamw", p, 1e-3),
    "ema": lambda p: create("adamw", p, 1e-3, average="ema"),
    "prodigy": lambda p: create("prodigy", p, 1.0),
    "schedule_free": lambda p: create("schedule_free_adamw", p, 1e-3),
    "sam": lambda p: create("sam", p, 1e-2),
    "torch adamw": lambda p: torch.optim.AdamW(p.parameters(), lr=1e-3),
    "torch tensor lr": lambda p: torch.optim.AdamW(p.parameters(), lr=torch.tensor(1e-3)),
    "torch lbfgs": lambda p: torch.optim.LBFGS(p.parameters(), lr=0.1, max_iter=3),
}


def everything(model, optimizer):
    return copy.deepcopy(
        (
            dict(model.state_dict()),
            [p.grad for p in model.parameters()],
            [m.training for m in model.modules()],
            [p.requires_grad for p in model.parameters()],
            optimizer.state_dict(),
            torch.get_rng_state(),
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
        )
    )


def started(name, steps=2):
    """A model and an optimizer in the middle of a run."""
    model = network(0, nn.Dropout(0.3), nn.BatchNorm1d(3))
    model[3].eval()
    optimizer = OPTIMIZERS[name](model)
    update = Update(model, loss, optimizer)
    for k in range(steps):
        torch.manual_seed(k)
        update([tokens(4, k)])
    return model, optimizer


def data():
    return TensorLoader(*tokens(32, 5), batch=4)


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_lr_finder_leaves_no_trace(name, steps):
    model, optimizer = started(name, steps)
    before = everything(model, optimizer)
    curve = lr_find(model, loss, optimizer, data(), updates=15, highest=100.0)
    assert len(curve.rates) > 5
    assert same(everything(model, optimizer), before)
    after = Update(model, loss, optimizer)([tokens(4, 9)])  # and it goes on as if nothing had been
    twin, other = started(name, steps)
    torch.set_rng_state(before[5])
    assert same(after.loss, Update(twin, loss, other)([tokens(4, 9)]).loss)
    assert same(dict(model.state_dict()), dict(twin.state_dict()))


def test_a_trial_that_fails_leaves_no_trace():
    model, optimizer = started("adamw")
    before = everything(model, optimizer)
    with pytest.raises(ZeroDivisionError), borrowed(model, optimizer):
        model.train()
        Update(model, loss, optimizer)([tokens(4)])
        random.random(), np.random.rand(), torch.rand(3)  # noqa: NPY002
        model[0].weight.requires_grad_(False)
        optimizer.param_groups[0]["lr"] = 7.0
        optimizer.param_groups[0]["new"] = 1
        raise ZeroDivisionError
    assert same(everything(model, optimizer), before)


def test_the_rates_rise_geometrically_and_the_groups_keep_their_proportions():
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters(), "lr": 0.3}]
    optimizer, seen = torch.optim.SGD(groups), []
    optimizer.register_step_pre_hook(lambda o, *_: seen.append([g["lr"] for g in o.param_groups]))
    curve = lr_find(model, loss, optimizer, data(), lowest=1e-4, highest=1e-2, updates=5)
    assert curve.rates == pytest.approx([1e-4 * 10 ** (k / 2) for k in range(5)], rel=1e-12)
    assert seen == [[r, pytest.approx(3 * r, rel=1e-12)] for r in curve.rates]
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.3]
    assert curve.diverged is None


def test_the_curve_of_a_quadratic():
    """f(w) = w²/2 with SGD: w is multiplied by 1 − lr, so the loss falls up to lr = 2 and leaves beyond it."""
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    curve = lr_find(model, lambda m, _: (0.5 * m.weight.square().sum(), 1), optimizer, [0], smoothing=0.0, highest=100.0)
    w = 1.0
    for rate, found in zip(curve.rates, curve.losses, strict=True):
        assert found == pytest.approx(0.5 * w * w, rel=1e-12)
        w *= 1 - rate
    assert curve.smoothed == pytest.approx(curve.losses, rel=1e-12)
    assert 2 < curve.diverged < 10
    assert 0.1 < curve.tenth < 0.3
    assert 1e-4 < curve.valley < 2


def test_smoothing_is_debiased():
    model = network()
    found = lr_find(model, loss, torch.optim.SGD(model.parameters(), lr=1.0), data(), updates=6, highest=1e-6, smoothing=0.8)
    average = 0.0
    for k, (value, smooth) in enumerate(zip(found.losses, found.smoothed, strict=True), 1):
        average = 0.8 * average + 0.2 * value
        assert smooth == pytest.approx(average / (1 - 0.8**k), rel=1e-12)


def test_the_suggestions():
    rates = [10.0**-k for k in range(9, 0, -1)]
    falling = [9.0, 8.0, 8.5, 7.0, 5.0, 3.0, 2.0, 4.0, 9.0]
    curve = LRCurve(rates, falling, falling, None)
    assert curve.tenth == rates[6] / 10
    # the longest falling subsequence, 9 8 7 5 3 2, has m = 6 and ends at 6: index 6 − 6 + 1 + ⌊5/3⌋ + ⌊5/6⌋
    assert curve.valley == rates[2]
    rising = LRCurve(rates[:2], [1.0, 2.0], [1.0, 2.0], 0.5)
    assert (rising.tenth, rising.valley) == (None, None)
    assert "valley      -" in rising.table()
    lines = curve.table(4).splitlines()
    assert lines[0].split() == ["lr", "loss", "smoothed"]
    assert [line.split()[0] for line in lines[1:5]] == ["1e-09", "1e-06", "0.0001", "0.1"]
    assert lines[-3:] == [f"valley      {rates[2]:.3g}", f"lowest/10   {rates[6] / 10:.3g}", "diverged at -"]


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    LRCurve([0.1, 1.0], [2.0, 1.0], [2.0, 1.0], None).png(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("losses", "smoothed", "shown"),
    [
        ([2.0, 1.0, 50.0], [2.0, 1.5, 9.0], (0.95, 2.25)),  # the loss that has diverged is beyond the picture
        ([1.0, 2.0, 50.0], [1.0, 1.5, 9.0], None),  # never a fall: nothing is known to matter more
    ],
)
def test_one_diverged_loss_does_not_flatten_the_picture(losses, smoothed, shown, tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn = []
    monkeypatch.setattr(figure, "savefig", lambda self, *_, **__: drawn.append(self.axes[0].get_ylim()))
    LRCurve([0.1, 1.0, 10.0], losses, smoothed, 10.0).png(tmp_path / "a.png")
    assert drawn == [pytest.approx(shown)] if shown else drawn[0][1] > 50.0


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"lowest": 1.0, "highest": 0.1}, ValueError, "needs lowest < highest and 2 updates or more, got 1.0, 0.1 and 100"),
        ({"updates": 1}, ValueError, "2 updates or more"),
        ({"lowest": 0.0}, ValueError, "lowest must be in"),
        ({"train": iter([])}, TypeError, "train can be read only once, and the run would miss its batches; give a list"),
    ],
)
def test_what_the_lr_finder_refuses(options, kind, words):
    model = network()
    train = options.pop("train", [tokens(2)])
    with pytest.raises(kind, match=words):
        lr_find(model, loss, torch.optim.SGD(model.parameters(), lr=0.1), train, **options)


class Hungry(nn.Module):
    """Runs out of memory above `most` items."""

    def __init__(self, inner, most, error=torch.OutOfMemoryError("out of memory")):
        super().__init__()
        self.inner, self.most, self.error, self.asked = inner, most, error, []

    def forward(self, x):
        self.asked.append(len(x))
        if len(x) > self.most:
            raise self.error
        return self.inner(x)


@pytest.mark.parametrize("most", [1, 2, 3, 5, 12, 20, 31, 32, 99])
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("x"), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_the_largest_that_fits(most, error):
    model = Hungry(network(), most, error)
    assert find_micro_batch(model, loss, torch.optim.Adam(model.parameters()), tokens(32)) == min(most, 32)
    assert len(model.asked) <= 11


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_micro_batch_finder_leaves_no_trace(name):
    model, optimizer = started(name)
    hungry = Hungry(model, 6)
    before = everything(hungry, optimizer)
    assert find_micro_batch(hungry, loss, optimizer, tokens(16)) == 6
    assert same(everything(hungry, optimizer), before)


def test_memory_that_runs_out_in_the_step_counts_as_well():
    model = network()

    class Greedy(torch.optim.SGD):
        def step(self, closure=None):
            self.param_groups[0]["params"][0].data.add_(1.0)  # half a step
            raise torch.OutOfMemoryError("x")

    before = copy.deepcopy(model.state_dict())
    with pytest.raises(MemoryError, match="not even one item fits"):
        find_micro_batch(model, loss, Greedy(model.parameters(), lr=0.1), tokens(4))
    assert same(dict(model.state_dict()), dict(before))


def test_other_errors_and_other_batches():
    model = Hungry(network(), 2, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        find_micro_batch(model, loss, torch.optim.Adam(model.parameters()), tokens(8))
    model = Hungry(network(), 3)
    x, y = tokens(8)
    by_name = find_micro_batch(
        model, lambda m, b: loss(m, (b["x"], b["y"])), torch.optim.Adam(model.parameters()), {"x": x, "y": y}
    )
    assert by_name == 3
    with pytest.raises(TypeError, match="no tensor with items in the batch, which is a str"):
        find_micro_batch(model, loss, torch.optim.Adam(model.parameters()), "text")
