"""Evaluation and the weights that are shipped are at the optimizer's average; training goes on where it was."""

import json

import torch
from safetensors.torch import load_file
from torch import nn

from danlu import optim
from danlu.loss import mean_squared_error
from danlu.train import Observer, Trainer, at_average, evaluate

X, Y = torch.randn(40, 3), torch.randn(40, 2)
DATA = [(X[:25], Y[:25]), (X[25:], Y[25:])]


def loss(model, batch):
    return mean_squared_error(model(batch[0]), batch[1])


def fitted(optimizer_name, out=None, **options):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = optim.create(optimizer_name, model, lr=0.1, **options)
    result = Trainer(model, loss, optimizer, until="3ep", out=out, observers=[Observer()]).fit(DATA, DATA)
    return model, optimizer, result


def test_the_trainer_evaluates_at_the_average_and_trains_on():
    model, optimizer, result = fitted("adamw", average=optim.average.Ema(0.5))
    raw, _, plain = fitted("adamw")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), raw.parameters(), strict=True))
    with at_average(optimizer):
        averaged = evaluate(model, loss, DATA)["valid/loss"]
    assert result.final["valid/loss"] == averaged
    assert result.final["valid/loss"] != plain.final["valid/loss"]
    assert result.final["train/loss"] == plain.final["train/loss"]


def test_both_points_are_written(tmp_path):
    model, optimizer, _ = fitted("schedule_free_sgd", tmp_path / "run")
    raw = load_file(tmp_path / "run" / "raw.safetensors")
    assert torch.equal(raw["weight"], model.weight)
    with at_average(optimizer):
        shipped = {name: x.detach().clone() for name, x in model.state_dict().items()}
    assert torch.equal(load_file(tmp_path / "run" / "model.safetensors")["weight"], shipped["weight"])
    assert not torch.equal(raw["weight"], shipped["weight"])
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "finished"


def test_averaged_statistics_are_evaluated_and_shipped(tmp_path):
    def run(folder, buffers):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        optimizer = optim.create("adamw", model, lr=0.1, average=optim.average.Ema(0.5), buffers=buffers)
        run = Trainer(model, loss, optimizer, until="3ep", recalibrate=0, out=folder, observers=[Observer()])
        return model, optimizer, run.fit(DATA, DATA)

    model, optimizer, result = run(tmp_path / "average", "average")
    _, _, plain = run(tmp_path / "copy", "copy")
    raw, shipped = (load_file(tmp_path / "average" / name) for name in ("raw.safetensors", "model.safetensors"))
    copied = load_file(tmp_path / "copy" / "model.safetensors")
    assert torch.equal(raw["1.running_mean"], model[1].running_mean)
    with at_average(optimizer):
        for name, x in model.state_dict().items():
            assert torch.equal(shipped[name], x), name
        assert result.final["valid/loss"] == evaluate(model, loss, DATA)["valid/loss"]
    for name in shipped:
        assert torch.equal(shipped[name], copied[name]) == ("running" not in name), name
    assert torch.equal(copied["1.running_mean"], raw["1.running_mean"])
    assert result.final["valid/loss"] != plain.final["valid/loss"]


def test_without_an_average_there_is_one_file(tmp_path):
    fitted("adamw", tmp_path / "run")
    assert not (tmp_path / "run" / "raw.safetensors").exists()


def test_optimizers_of_others_have_no_average():
    p = nn.Parameter(torch.ones(2))
    with at_average(torch.optim.SGD([p], lr=0.1)):
        assert p.tolist() == [1.0, 1.0]
