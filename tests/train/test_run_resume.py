"""A run in a folder, cut off and resumed, is the run that was not: weights, average, every number, and the file of them."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from danlu.data import Loader, TensorLoader
from danlu.loss import LossSum
from danlu.optim import create
from danlu.schedule import Constant, Schedule
from danlu.train import Callback, Checkpoints, DamagedError, Keep, MismatchError, Observer, Trainer

from .resuming import UPDATES, Noisy, Signal, files, fit, trainer
from .toys import loss, same, tokens


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    fit(out)
    return files(out)


@pytest.mark.parametrize("at", range(1, UPDATES))
def test_stopped_anywhere_and_resumed_is_never_stopped(tmp_path, whole, at):
    """Mid-epoch too (an epoch has 5 updates), with dropout, augmentation, BatchNorm and an average."""
    out = tmp_path / "run"
    first = fit(out, Signal(at))
    assert (first.interrupted, first.signal, first.steps) == (True, "SIGTERM", at)
    second = fit(out, resume=True)
    assert (second.interrupted, second.steps) == (False, UPDATES)
    assert same(files(out), whole)
    assert len(second.history) == 4


def test_state_that_is_multiplied_and_summed_is_resumed_to_the_bit(tmp_path):
    """L-BFGS of torch goes on with the tensors that it is given, and dot products depend on where in memory they lie."""

    def last(*observers, **options):
        model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
        with torch.no_grad():
            for i, p in enumerate(model.parameters()):
                p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(i)))
        x = torch.randn(40, 4, generator=torch.Generator().manual_seed(9))
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")
        own = Trainer(model, loss, optimizer, until=8, observers=observers, resume=True, **options)
        own.fit(TensorLoader(x, (x[:, 0] > 0).long(), batch=5))
        return [p.detach() for p in model.parameters()]

    whole = last(out=tmp_path / "whole")
    for at in (2, 3, 4):
        last(Signal(at), out=tmp_path / f"{at}")
        assert same(last(out=tmp_path / f"{at}"), whole)


@pytest.mark.parametrize("at", [1, 7])
def test_averaged_buffers_are_resumed_too(tmp_path, at):
    """They stand in the optimizer's state beside groups and parameters."""

    def averaging(model):
        return create("adamw", model, 0.03, average="ema", buffers="average")

    fit(tmp_path / "whole", optimizer=averaging)
    fit(tmp_path / "cut", Signal(at), optimizer=averaging)
    fit(tmp_path / "cut", optimizer=averaging, resume=True)
    assert same(files(tmp_path / "cut"), files(tmp_path / "whole"))


def test_two_workers_resume_as_none(tmp_path, whole):
    out = tmp_path / "run"
    fit(out, Signal(7), data=Loader(Noisy(), batch=4, workers=2))
    fit(out, data=Loader(Noisy(), batch=4, workers=2), resume=True)
    assert same(files(out), whole)


class Abrupt(Exception):  # noqa: N818 - it is no error
    pass


class Crash(Observer):
    def __init__(self, at):
        self.at = at

    def update(self, clock, report):
        if clock.done == self.at:
            raise Abrupt


def test_rows_after_the_checkpoint_are_written_once(tmp_path, whole):
    out = tmp_path / "run"
    with pytest.raises(Abrupt):
        fit(out, Crash(10), save_every=4)  # update 9 and the evaluation there are in the file, the checkpoint is of 8
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"event": "upd')
    fit(out, resume=True, save_every=4)
    assert same(files(out), whole)


def test_a_run_that_died_before_its_first_checkpoint_begins_again(tmp_path, whole):
    out = tmp_path / "run"
    with pytest.raises(Abrupt):
        fit(out, Crash(1))
    fit(out, resume=True)
    assert same(files(out), whole)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda m: torch.optim.AdamW(m.parameters(), lr=0.03),
        lambda m: torch.optim.SGD(m.parameters(), lr=0.03, momentum=0.9),
        lambda m: torch.optim.LBFGS(m.parameters(), lr=0.5, max_iter=3),
    ],
)
def test_torch_optimizers_resume_too(tmp_path, optimizer):
    fit(tmp_path / "a", optimizer=optimizer, schedule=None)
    fit(tmp_path / "b", Signal(6), optimizer=optimizer, schedule=None)
    fit(tmp_path / "b", optimizer=optimizer, schedule=None, resume=True)
    assert same(*(load_file(tmp_path / name / "model.safetensors") for name in "ab"))


def test_a_finished_run_has_nothing_left_to_do(tmp_path, whole):
    out = tmp_path / "run"
    fit(out)
    result = fit(out, Crash(1), resume=True)
    assert result.steps == UPDATES
    assert result.final == result.history[-1]
    assert same(files(out), whole)


def test_damage_is_told_and_the_one_before_is_used(tmp_path, whole):
    out = tmp_path / "run"
    fit(out, Signal(7))
    os.truncate(out / "checkpoints" / "step-000000007" / "optimizer.safetensors", 99)
    with pytest.warns(UserWarning, match=r"^step-000000007 is damaged .*; going on from step-000000006$") as told:
        fit(out, resume=True)
    assert len(told) == 1
    assert same(files(out), whole)


def test_nothing_whole_is_an_error_and_nothing_is_overwritten(tmp_path):
    out = tmp_path / "run"
    fit(out, Signal(7))
    for path in out.glob("checkpoints/step-*/state.json"):
        path.write_text("{}")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(DamagedError, match="no checkpoint can be read"):
        fit(out, resume=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extra": (nn.Linear(5, 5).double(),)}, "its model lacks 5.weight, 5.bias"),
        ({"optimizer": lambda m: torch.optim.SGD(m.parameters(), lr=0.1)}, "this run has SGD"),
        ({"seed": 1}, "with seed=0, not 1"),
        ({"accumulate": 2}, "with accumulate=1, not 2"),
    ],
)
@pytest.mark.filterwarnings("ignore:accumulate=2 with BatchNorm")
def test_a_checkpoint_of_something_else_is_one_line_and_nothing_is_overwritten(tmp_path, options, message):
    out = tmp_path / "run"
    fit(out, Signal(7))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(MismatchError) as raised:
        fit(out, resume=True, **options)
    assert "step-000000007 is a checkpoint of something else: " in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"} == before


def test_a_refused_checkpoint_has_changed_nothing(tmp_path):
    class Counts(Callback):
        n = 0

        def update(self, clock, report):
            self.n += 1

        def state_dict(self):
            return {"n": self.n}

        def load_state_dict(self, state):
            self.n = state["n"]

    fit(tmp_path / "run", Signal(7), callbacks=[Counts()])
    callback = Counts()
    with pytest.raises(MismatchError, match="this run has SGD"):
        fit(
            tmp_path / "run",
            callbacks=[callback],
            optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.1),
            resume=True,
        )
    assert callback.n == 0


def test_a_new_run_may_start_from_another_ones_checkpoint(tmp_path, whole):
    fit(tmp_path / "a", Signal(7))
    fit(tmp_path / "b", resume=tmp_path / "a")
    fit(tmp_path / "c", resume=tmp_path / "a" / "checkpoints" / "step-000000006")
    assert same(files(tmp_path / "b")[1:], whole[1:])
    assert same(files(tmp_path / "c")[1:], whole[1:])
    assert [row["step"] for row in files(tmp_path / "b")[0] if row["event"] == "update"] == [8, 9, 10, 11]
    with pytest.raises(FileExistsError, match="holds another run"):
        fit(tmp_path / "b", resume=tmp_path / "a")


def test_what_the_optimizer_was_made_with_is_compared(tmp_path):
    """Its hyper-parameters come from the checkpoint, as with torch; a value that is overruled is told."""

    def sgd(lr):
        return lambda model: torch.optim.SGD(model.parameters(), lr, momentum=0.9)

    fit(tmp_path / "run", until=4, optimizer=sgd(0.1))
    fit(tmp_path / "run", until=6, optimizer=sgd(0.1), resume=True)  # no warning, although the schedule has moved lr
    with pytest.warns(UserWarning, match="step-000000006 goes on with its own lr=0.1 and not 0.2, which this") as told:
        result = fit(tmp_path / "run", optimizer=sgd(0.2), resume=True, schedule={"lr": Schedule(Constant())})
    assert len(told) == 1
    assert result.final["lr"] == 0.1


def test_another_length_of_the_epoch_is_told(tmp_path):
    fit(tmp_path / "run", until=7)
    with pytest.warns(
        UserWarning, match="had 5 windows in an epoch, now there are 9; it goes on behind window 2 of epoch 1"
    ) as told:
        fit(tmp_path / "run", data=Loader(Noisy(), batch=2), resume=True)
    assert len(told) == 1


def test_validation_data_may_come_with_a_resume(tmp_path):
    data = Loader(Noisy(), batch=4)
    trainer(tmp_path / "run", until=4).fit(data)
    result = trainer(tmp_path / "run", resume=True, keep=Keep(best=True)).fit(data, TensorLoader(*tokens(9, seed=5), batch=4))
    assert "valid/loss" not in result.history[0]
    assert result.best["valid/loss"] == min(row["valid/loss"] for row in result.history[2:])


def test_the_best_is_kept(tmp_path):
    result = fit(tmp_path / "run", keep=Keep(best=True))
    best = Checkpoints(tmp_path / "run" / "checkpoints").best()
    assert int(best.name[5:]) == result.best["step"]


def test_a_second_sigterm_leaves_at_once(tmp_path, whole):
    with pytest.raises(SystemExit) as left:
        fit(tmp_path / "run", Signal(5, times=2))
    assert left.value.code == 143
    fit(tmp_path / "run", resume=True)
    assert same(files(tmp_path / "run"), whole)


def test_without_checkpoints_there_are_none(tmp_path):
    fit(tmp_path / "run", save_every=None)
    assert not (tmp_path / "run" / "checkpoints").exists()
    for options in ({"save_every": None, "out": tmp_path / "x"}, {"out": None}):
        with pytest.raises(ValueError, match=r"^Trainer: resume needs the run's folder and checkpoints"):
            trainer(**options, resume=True)


def test_the_environment_of_every_start_is_noted(tmp_path):
    fit(tmp_path / "run", Signal(5))
    fit(tmp_path / "run", resume=True)
    starts = json.loads((tmp_path / "run" / "env.json").read_text())
    assert [entry["torch"] for entry in starts] == [torch.__version__] * 2


def test_another_version_of_torch_is_told(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "1.0")
        fit(tmp_path / "run", Signal(5))
    with pytest.warns(UserWarning, match="was made with torch 1.0, this is .*; bits may differ from here on"):
        fit(tmp_path / "run", resume=True)


def failing(at):
    """The loss, but nan in training batch number `at`."""
    seen = []

    def sometimes(model, batch):
        found = loss(model, batch)
        seen.append(model.training)
        factor = float("nan") if model.training and sum(seen) == at else 1.0
        return LossSum(found.total * factor, found.count, found.measures)

    return sometimes


def test_a_failed_run_goes_on_when_the_cause_is_gone(tmp_path, whole):
    out = tmp_path / "run"
    with pytest.raises(ArithmeticError, match=r"^update 7: loss is nan"):
        fit(out, criterion=failing(8))
    assert json.loads((out / "status.json").read_text())["state"] == "failed"
    fit(out, resume=True)
    assert same(files(out), whole)


class StopAtSkip(Callback):
    """Ends the run at the first window that is skipped."""

    why = ""

    def update(self, clock, report):
        self.why = report.reason

    def stops(self, clock):
        return self.why


def test_a_run_stopped_by_a_skipped_window_takes_it_again(tmp_path):
    fit(tmp_path / "whole", callbacks=[StopAtSkip()])
    out = tmp_path / "run"
    stopped = fit(out, criterion=failing(8), callbacks=[StopAtSkip()], nonfinite="skip")
    assert (stopped.steps, stopped.skipped) == (7, 1)
    fit(out, resume=True, callbacks=[StopAtSkip()])
    assert same(files(out), files(tmp_path / "whole"))
