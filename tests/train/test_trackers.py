"""Trackers get the numbers that the run has, at the steps at which it has them."""

import pytest
import torch

from danlu.train import TensorBoard, Trainer, WandbStyle
from tests.train.toys import loss, network, tokens


class Fake:
    """A module like wandb."""

    def __init__(self):
        self.calls = []

    def init(self, **options):
        self.calls.append(("init", options))

    def log(self, metrics, *, step):
        self.calls.append((step, metrics))

    def finish(self):
        self.calls.append(("finish",))


def fit(*observers, batches=4, epochs=2):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = [tokens(6, seed) for seed in range(batches)]
    return Trainer(model, loss, optimizer, until=f"{epochs}ep", observers=observers).fit(data, data[:1])


def test_a_module_like_wandb_gets_the_run():
    fake = Fake()
    result = fit(WandbStyle(fake, every=2, project="p", config={"lr": 0.1}))
    assert fake.calls[0] == ("init", {"project": "p", "config": {"lr": 0.1}})
    assert fake.calls[-1] == ("finish",)
    logged = fake.calls[1:-1]
    updates = [(step, x) for step, x in logged if "update/loss" in x]
    rows = [x for step, x in logged if "valid/loss" in x]
    assert [step for step, _ in updates] == [2, 4, 6, 8]
    assert all(x["update/lr"] == 0.1 and x["update/grad_norm"] > 0 for _, x in updates)
    assert [x["valid/loss"] for x in rows] == [row["valid/loss"] for row in result.history]


def test_a_failing_run_is_closed_too():
    fake = Fake()
    with pytest.raises(ZeroDivisionError):
        Trainer(
            network(),
            lambda model, batch: 1 / 0,
            torch.optim.SGD(network().parameters(), lr=0.1),
            until=1,
            observers=[WandbStyle(fake)],
        ).fit([tokens(2)])
    assert fake.calls[-1] == ("finish",)


def test_tensorboard_files_hold_the_rows(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = fit(TensorBoard(tmp_path, every=None))
    events = EventAccumulator(str(tmp_path)).Reload()
    found = [(event.step, event.value) for event in events.Scalars("valid/loss")]
    assert found == [(row["step"], pytest.approx(row["valid/loss"])) for row in result.history]
    assert "update/loss" not in events.Tags()["scalars"]
