"""Early stopping: when, on what, with which weights, and the same after a resume."""

import copy
import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from danlu.optim import create
from danlu.train import EarlyStop, Observer, Trainer

from .toys import loss, network, same, tokens


class Scripted(nn.Module):
    """Its validation losses are written down; its weight counts the updates."""

    def __init__(self, values):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))
        self.values = iter(values)


def scripted(model, batch):
    return (model.w * 1.0 if model.training else torch.tensor(float(next(model.values)))), 1


def stopped(values, stop, until=20, windows=2, **options):
    model = Scripted(values)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    run = Trainer(model, scripted, optimizer, until=until, evaluate_every=2, callbacks=[stop], observers=[], **options)
    return run.fit([0] * windows, [0]), model


@pytest.mark.parametrize(
    ("values", "options", "steps"),
    [
        ([3, 2, 1, 1, 1, 1, 1], {"patience": "2ep"}, 10),
        ([3, 2, 1, 1, 1, 1, 1], {"patience": 4}, 10),
        ([3, 2, 1, 1, 1, 1, 1], {"patience": 3}, 10),  # between two evaluations: the next one
        ([3, 2, 1, 1, 1, 1, 1], {"patience": "20%"}, 10),
        ([3, 2, 1, 1, 1, 1, 1], {"patience": "4samples"}, 10),
        ([3, 2, 1, 2, 0, 1, 1, 1], {"patience": "2ep"}, 14),
        ([1, 0.95, 0.9, 0.85, 0.8], {"patience": "3ep", "min_delta": 0.12}, 14),  # 0.85 counts, 0.95 and 0.9 do not
        ([1, 2, 3, 3, 3, 3], {"patience": "2ep", "mode": "max"}, 10),
        ([math.nan, math.nan, 5, math.nan, math.nan], {"patience": "2ep"}, 10),
        ([math.nan, math.nan, math.nan], {"patience": "2ep"}, 6),
        ([math.nan, 5, math.nan, math.nan, 1], {"patience": "2ep"}, 8),
        ([0, 5, 5, 4, 4, 4], {"patience": "2ep", "after": "2ep"}, 12),  # the 0 comes too early to count
        ([1] * 10, {"patience": "0.5ep"}, 4),
    ],
)
def test_when(values, options, steps):
    stop = EarlyStop(**options)
    worst = 0 if options.get("mode") == "max" else 9
    result, model = stopped([*values, *[worst] * 10], stop)
    assert result.steps == steps == -model.w.item()
    assert result.stopped.startswith("valid/loss has not improved on ")
    assert not result.interrupted


def test_it_does_not_stop_what_improves():
    result, _ = stopped(range(10, 0, -1), EarlyStop(patience=2))
    assert (result.steps, result.stopped) == (20, "")


def test_a_second_run_begins_anew():
    stop = EarlyStop(patience=2)
    assert stopped([1, 1, 1], stop)[0].steps == stopped([5, 5, 5], stop)[0].steps == 4


def test_an_unknown_metric_is_refused_with_the_names():
    with pytest.raises(ValueError, match="no metric 'valid/los' in the evaluation; did you mean 'valid/loss'"):
        stopped([1, 1], EarlyStop("valid/los"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"patience": 0}, "patience must be longer than 0, got 0"),
        ({"min_delta": -1.0}, "min_delta must be in"),
        ({"mode": "low"}, "mode must be one of min, max, got 'low'"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        EarlyStop(**options)


def test_the_best_weights_are_put_back():
    for restore, weight in ((True, -6.0), (False, -10.0)):
        _, model = stopped([3, 2, 1, 1, 1, 1], EarlyStop(patience="2ep", restore=restore))
        assert model.w.item() == weight


def restoring(tmp_path=None, **options):
    """High rates, so that the best evaluation is none of the last."""
    model = network(0, nn.Dropout(0.2), nn.BatchNorm1d(3))
    optimizer = create("adamw", model, 0.5, average="ema")
    stop = EarlyStop(patience="2ep", restore=True)
    data = [tokens(2 + k % 3, seed=k) for k in range(4)]
    run = Trainer(model, loss, optimizer, until="30ep", callbacks=[stop], out=tmp_path, **{"observers": [], **options})
    return run, data, [tokens(9, 77)]


def test_the_shipped_weights_are_the_averaged_ones_of_the_best_evaluation(tmp_path):
    run, data, valid = restoring(tmp_path, recalibrate=0)  # statistics of its own make it better to the end
    kept = {}

    class Keep(Observer):
        def evaluated(self, clock, row):
            with run.eval_weights():
                kept[row["valid/loss"]] = copy.deepcopy(run.model.state_dict())

    run.observers = [Keep()]
    result = run.fit(data, valid)
    assert result.stopped
    assert result.best["step"] < result.final["step"]
    best = kept[result.best["valid/loss"]]
    assert same(dict(run.model.state_dict()), dict(best))
    assert same(
        load_file(tmp_path / "model.safetensors"), {name: best[name] for name in load_file(tmp_path / "model.safetensors")}
    )


class Stop(BaseException):
    pass


def test_a_resumed_run_stops_at_the_same_step_with_the_same_weights():
    run, data, valid = restoring()
    whole = run.fit(data, valid)
    wanted = dict(run.model.state_dict())
    for k in range(1, int(whole.steps) + 1, 3):
        run, data, valid = restoring()
        saved = []

        class Save(Observer):
            def settled(self, clock, k=k, run=run, saved=saved):
                if clock.done == k:
                    saved += copy.deepcopy((run.model.state_dict(), run.optimizer.state_dict(), run.state_dict()))
                    raise Stop

        run.observers = [Save()]
        with pytest.raises(Stop):
            run.fit(data, valid)
        run, data, valid = restoring()
        run.model.load_state_dict(saved[0])
        run.optimizer.load_state_dict(saved[1])
        run.load_state_dict(saved[2])
        again = run.fit(data, valid)
        assert (again.steps, again.stopped) == (whole.steps, whole.stopped)
        assert same(dict(run.model.state_dict()), wanted)
