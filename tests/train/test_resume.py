"""To load a trainer's state, with weights and optimizer, is never to have stopped: bit for bit, from every window."""

import copy
import math
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from danlu.data import TensorLoader
from danlu.optim import create
from danlu.schedule import Cosine, Schedule
from danlu.train import Callback, Observer, Trainer

from .toys import loss, network, same, tokens

WINDOWS = 11


class StopHere(Exception):  # noqa: N818 - it is no error
    pass


class Save(Observer):
    """Copies everything after window k; ends the run there by raising."""

    def __init__(self, at):
        self.at = at

    def settled(self, clock):
        if clock.done == self.at:
            own = self.trainer
            self.saved = copy.deepcopy((own.model.state_dict(), own.optimizer.state_dict(), own.state_dict()))
            raise StopHere


class Counts(Callback):
    """Remembers in its state what it saw."""

    def __init__(self):
        self.seen = []

    def start(self, clock):
        if clock.done == 0:
            self.seen = []

    def after_update(self, clock, report):
        self.seen.append((clock.done, report.loss))

    def state_dict(self):
        return {"seen": [list(pair) for pair in self.seen]}

    def load_state_dict(self, state):
        self.seen = [tuple(pair) for pair in state["seen"]]


def dropout(seed=0):
    return network(seed, nn.Dropout(0.3), nn.BatchNorm1d(3))


def batches():
    return [tokens(2 + k % 3, seed=k) for k in range(5)]


def shuffled():
    return DataLoader(TensorDataset(*tokens(13, seed=3)), batch_size=3, shuffle=True)


def keyed():
    return TensorLoader(*tokens(13, seed=3), batch=3)


def made(data=batches, optimizer=None, schedule=None, until="2.2ep", observers=(), **options):
    model = dropout()
    optimizer = (optimizer or (lambda m: create("adamw", m, 0.03, average="ema")))(model)
    schedule = Schedule(Cosine(), warmup="20%") if schedule is None else schedule(optimizer)
    plain = {"callbacks": [Counts()], "observers": list(observers), "until": until, "evaluate_every": "40%", **options}
    return Trainer(model, loss, optimizer, schedule=schedule, **plain)


def fitted(run, data):
    """Run to the end; what there is to compare."""
    result = run.fit(data(), [tokens(4, 9)])
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]
    with run.eval_weights():
        judged = copy.deepcopy(run.model.state_dict())
    seen = [each.state_dict() for each in run.callbacks]
    return copy.deepcopy(run.model.state_dict()), run.optimizer.state_dict(), judged, rows, result.steps, seen


def resumed(k, data, **options):
    watch = Save(k)
    run = watch.trainer = made(observers=[watch], **options)
    with pytest.raises(StopHere):
        run.fit(data(), [tokens(4, 9)])
    weights, optimizer, state = watch.saved
    torch.rand(k)  # another process has drawn other numbers
    run = made(**options)
    run.model.load_state_dict(weights)
    run.optimizer.load_state_dict(optimizer)
    run.load_state_dict(state)
    return fitted(run, data)


@pytest.mark.parametrize("k", range(1, WINDOWS + 1))
def test_from_every_window(k):
    assert same(resumed(k, batches), fitted(made(), batches))


SCHEDULERS = {
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.5),
    "one_cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, 20),
    "plateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=0, threshold=10.0),
}


@pytest.mark.parametrize("k", [3, 7])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_with_torch_schedulers(name, k):
    options = {"schedule": SCHEDULERS[name], "optimizer": lambda m: torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9)}
    assert same(resumed(k, batches, **options), fitted(made(**options), batches))


@pytest.mark.parametrize("k", [3, 5, 7, 10])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_in_the_middle_of_a_keyed_epoch(k, accumulate):
    options = {"accumulate": accumulate, "until": 12}
    with pytest.warns(UserWarning, match="BatchNorm") if accumulate > 1 else nullcontext():
        assert same(resumed(k, keyed, **options), fitted(made(**options), keyed))


@pytest.mark.parametrize("k", [3, 7])
def test_a_loader_that_is_not_keyed_is_read_again_and_says_so(k):
    with pytest.warns(UserWarning, match=r"train is not keyed: its first \d batches are read again and thrown away") as said:
        found = resumed(k, shuffled, recalibrate=0)
    assert len(said) == 1
    assert same(found, fitted(made(recalibrate=0), shuffled))


def test_a_state_of_another_run_is_refused():
    run = made()
    fitted(run, batches)
    state = run.state_dict()
    with pytest.raises(ValueError, match="the state is of a run with seed=0, not 1; give the same seed"):
        made(seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match="the state has the callbacks Counts; this trainer has none; give the same ones"):
        made(callbacks=[]).load_state_dict(state)
    with pytest.raises(RuntimeError, match="there is no run to save; call fit first"):
        made().state_dict()


def test_the_state_is_plain():
    run = made()
    fitted(run, batches)

    def plain(x):
        if isinstance(x, dict):
            return all(isinstance(key, str) and plain(each) for key, each in x.items())
        if isinstance(x, list):
            return all(map(plain, x))
        return x is None or isinstance(x, (torch.Tensor, bool, int, float, str))

    assert plain(run.state_dict())
    assert math.isclose(run.state_dict()["clock"]["seconds"], run.result.seconds, abs_tol=1.0)


def test_a_longer_run_goes_on_from_the_end():
    short = made(until=4, schedule=lambda o: None)
    fitted(short, batches)
    longer = made(until=9, schedule=lambda o: None)
    longer.model.load_state_dict(short.model.state_dict())
    longer.optimizer.load_state_dict(short.optimizer.state_dict())
    longer.load_state_dict(short.state_dict())
    weights = fitted(longer, batches)[0]
    assert same(weights, fitted(made(until=9, schedule=lambda o: None), batches)[0])
