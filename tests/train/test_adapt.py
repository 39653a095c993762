"""Losses that learn, in a trainer: accumulation, skipped windows, resumption."""

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from danlu.data import TensorLoader
from danlu.loss import GradNorm, GradTail, cross_entropy, z_loss
from danlu.train import Adapt, Observer, Trainer

from .toys import network, same, tokens


class Tasks(nn.Module):
    """A trunk, and two losses of what it gives."""

    def __init__(self):
        super().__init__()
        self.trunk = network()

    def forward(self, x):
        return self.trunk(x)


def norm(model):
    balance = GradNorm(["nll", "size"], model.trunk[2].weight, lr=0.05)

    def loss(model, batch):
        z = model(batch[0])
        return balance({"nll": cross_entropy(z, batch[1]), "size": z_loss(z, mask=batch[1] != -100)})

    return balance, loss


def tail(model):
    own = GradTail(amplitude=3.0)

    def loss(model, batch):
        h = model.trunk[:2](batch[0])
        return own(model.trunk[2](h), h, batch[1])

    return own, loss


def prepared(make, accumulate, observers=(), nonfinite="raise"):
    model = Tasks()
    adapting, loss = make(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    given = {"until": 9, "accumulate": accumulate, "callbacks": [Adapt(adapting)], "observers": list(observers)}
    return Trainer(model, loss, optimizer, evaluate_every=2, nonfinite=nonfinite, **given), adapting


def loader(batch):
    x, y = tokens(24, 3)
    return TensorLoader(x, y, batch=batch, seed=1)


@pytest.mark.parametrize("make", [norm, tail])
def test_accumulated_windows_teach_what_large_batches_do(make):
    ends = []
    for accumulate in (1, 3):
        trainer, adapting = prepared(make, accumulate)
        trainer.fit(loader(12 // accumulate), [tokens(5)])
        ends.append((adapting.state_dict(), nn.utils.parameters_to_vector(trainer.model.parameters()).detach()))
    torch.testing.assert_close(ends[1][1], ends[0][1], rtol=1e-9, atol=1e-11)
    for key, value in ends[0][0].items():
        torch.testing.assert_close(ends[1][0][key], value, rtol=1e-9, atol=1e-11)
    if make is norm:
        assert abs(ends[0][0]["weights"]["nll"] - 1) > 0.01


class Stop(Exception):  # noqa: N818 - it is no error
    pass


class Save(Observer):
    def settled(self, clock):
        if clock.done == 4:
            own = self.trainer
            self.saved = copy.deepcopy((own.model.state_dict(), own.optimizer.state_dict(), own.state_dict()))
            raise Stop


@pytest.mark.parametrize("make", [norm, tail])
def test_to_resume_is_never_to_have_stopped(make):
    whole, learnt = prepared(make, 2)
    whole.fit(loader(5))
    save = Save()
    first, _ = prepared(make, 2, [save])
    save.trainer = first
    with pytest.raises(Stop):
        first.fit(loader(5))
    again, adapting = prepared(make, 2)
    for part, state in zip((again.model, again.optimizer, again), save.saved, strict=True):
        part.load_state_dict(state)
    again.fit(loader(5))
    assert same(dict(again.model.state_dict()), dict(whole.model.state_dict()))
    assert same(adapting.state_dict(), learnt.state_dict())


def test_a_skipped_window_teaches_nothing_and_a_second_run_begins_anew():
    x, y = tokens(4)
    good, bad = (x, y), (x * math.nan, y)
    ends = []
    for data in ([good, good, good], [good, bad, good, good]):
        trainer, adapting = prepared(norm, 1, nonfinite="skip")
        trainer.until = type(trainer.until).parse(len(data))
        trainer.fit(data)
        ends.append(adapting.state_dict())
    assert ends[0] == ends[1]
    assert ends[0]["weights"]["nll"] != 1
    adapting.load_state_dict({"weights": {"nll": 1.9, "size": 0.1}, "initial": None})
    trainer.callbacks[0].start(SimpleNamespace(done=0))
    assert adapting.weights == {"nll": 1.0, "size": 1.0}


def test_what_does_not_learn_is_refused():
    with pytest.raises(TypeError, match="does not learn; pass a GradNorm"):
        Adapt(cross_entropy)


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr("danlu.train.adapt.Ranks", lambda model: SimpleNamespace(size=2))
    with pytest.raises(ValueError, match="in 2 processes GradNorm would learn 2 different things"):
        prepared(norm, 1)
