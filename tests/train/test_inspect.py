"""The inspector sees the gradients of the mean loss and the update as it was, and changes nothing."""

import json
from dataclasses import asdict

import pytest
import torch

from danlu.inspection import Gauges, Reading
from danlu.train import Inspect, TensorBoard, Trainer
from tests.train.toys import loss, network, tokens


def fit(*callbacks, observers=(), until=6, **options):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    trainer = Trainer(model, loss, optimizer, until=until, accumulate=2, callbacks=callbacks, observers=observers, **options)
    trainer.fit([tokens(6, seed) for seed in range(8)])
    return model


def test_a_look_is_that_of_a_hand_written_step():
    look = Inspect(every=2)
    fit(look)
    assert [reading.step for reading in look.readings] == [0, 2, 4]
    model = network()
    window = [tokens(6, seed) for seed in range(2)]
    parts = [loss(model, batch) for batch in window]
    (sum(part.total for part in parts) / sum(part.count for part in parts)).backward()
    for name, p in model.named_parameters():
        seen = look.readings[0].layers[name]
        assert seen.gradient.norm == pytest.approx(Gauges.of(p.grad).norm, rel=1e-12)
        assert seen.weight == Gauges.of(p)
        assert seen.ratio == pytest.approx((0.1 * p.grad.norm() / p.norm()).item(), rel=1e-9)


def test_a_sparse_gradient_is_seen_as_a_dense_one():
    def look(sparse):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Embedding(50, 4, sparse=sparse), torch.nn.Flatten(), torch.nn.Linear(8, 2))
        seen = Inspect(every=1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        Trainer(model, loss, optimizer, until=1, callbacks=[seen], observers=[]).fit([(ids, torch.tensor([0, 1, 0]))])
        return seen.readings[0].layers["0.weight"]

    ids = torch.tensor([[3, 3], [7, 0], [3, 49]])
    sparse, dense = look(True), look(False)
    assert asdict(sparse.gradient) == pytest.approx(asdict(dense.gradient), rel=1e-5)
    assert sparse.ratio == pytest.approx(dense.ratio, rel=1e-5)
    assert sparse.gradient.zeros == 1 - 4 / 50


def test_clipping_comes_after_the_look():
    look, clipped = Inspect(every=1), Inspect(every=1)
    fit(look, until=1)
    fit(clipped, until=1, clip=1e-3)
    name = "0.weight"
    assert clipped.readings[0].layers[name].gradient == look.readings[0].layers[name].gradient
    assert clipped.readings[0].layers[name].ratio < 0.1 * look.readings[0].layers[name].ratio
    assert (look.readings[0].clipped, clipped.readings[0].clipped) == (False, True)


def test_looking_changes_nothing():
    alone, watched = fit(), fit(Inspect(every=1))
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), watched.parameters(), strict=True))


def test_the_file_has_every_look_and_a_resumed_run_goes_on_with_it(tmp_path):
    whole = Inspect(every=1, path=tmp_path / "whole.jsonl")
    fit(whole, out=tmp_path / "whole", save_every=100)
    cut = tmp_path / "cut.jsonl"
    fit(Inspect(every=1, path=cut), until=3, out=tmp_path / "cut", save_every=100)
    with cut.open("a") as file:
        file.write(json.dumps(Reading(4).to_json()) + '\n{"step": 5, "lay')  # later than what was saved, and torn
    fit(Inspect(every=1, path=cut), out=tmp_path / "cut", save_every=100, resume=True)
    assert cut.read_text() == (tmp_path / "whole.jsonl").read_text()
    assert [json.loads(line)["step"] for line in cut.read_text().splitlines()] == list(range(6))


def test_tensorboard_gets_histograms(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoard(tmp_path)
    fit(Inspect(every=3, tensorboard=board), observers=[board])
    events = EventAccumulator(str(tmp_path), {"histograms": 0}).Reload()
    assert [event.step for event in events.Histograms("gradients/0.weight")] == [0, 3]
