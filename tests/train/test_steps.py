"""The loop with a body of one's own, and lengths in every unit."""

import json

import pytest
import torch

from danlu.schedule import Cosine, Linear, Schedule
from danlu.train import Observer, Trainer

from .toys import batches, loss, network, same


def made(**options):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return Trainer(model, loss, optimizer, **{"observers": [], **options})


def weights(run):
    return [p.detach().clone() for p in run.model.parameters()]


OPTIONS = {"until": "2.4ep", "schedule": Schedule(Cosine(), warmup=2), "clip": 0.5, "evaluate_every": 4}


def test_it_is_the_loop_of_fit():
    one, other = made(**OPTIONS), made(**OPTIONS)
    result = one.fit(batches(), batches(2))
    reports = [step.update() for step in other.steps(batches(), batches(2))]
    assert same(weights(one), weights(other))
    assert [{**row, "seconds": 0} for row in other.result.history] == [{**row, "seconds": 0} for row in result.history]
    assert len(reports) == result.steps == 12
    assert not other.result.interrupted


def test_an_update_of_ones_own():
    one, other = made(**OPTIONS), made(**OPTIONS)
    one.fit(batches())
    for step in other.steps(batches()):
        (x, y) = step.window[0]
        step.report = other.update([(x[:1], y[:1]), (x[1:], y[1:])])
    for a, b in zip(weights(one), weights(other), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_leaving_the_loop_ends_the_run(tmp_path):
    run = made(out=tmp_path, until=10)
    for step in run.steps(batches()):
        step.update()
        if step.clock.done == 3:
            break
    assert (run.result.steps, run.result.interrupted, run.result.error) == (4, True, "")
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "interrupted"
    assert (tmp_path / "model.safetensors").exists()


def test_an_error_in_the_body_before_its_update():
    run = made(until=10)
    with pytest.raises(ZeroDivisionError):
        for step in run.steps(batches()):
            if step.clock.done == 3:
                raise ZeroDivisionError
            step.update()
    assert (run.result.steps, run.result.interrupted) == (3, True)


def test_an_error_in_an_update_is_the_runs():
    run = made(until=10)
    data = batches()
    data[2] = (data[2][0] * float("nan"), data[2][1])
    with pytest.raises(ArithmeticError, match="update 2: loss is nan"):
        for step in run.steps(data):
            step.update()
    assert run.result.steps == 2
    assert run.result.error.startswith("NonFiniteError: update 2: loss is nan")


def test_a_step_without_update_is_found_out():
    run = made(until=10)
    with pytest.raises(RuntimeError, match=r"Trainer.steps: window 0 had no update; call step.update\(\) in the loop"):
        for _ in run.steps(batches()):
            pass


def test_the_stop_policy_ends_the_run_with_a_reason():
    data = batches()
    data[2] = (data[2][0] * float("nan"), data[2][1])
    result = made(until=10, nonfinite="stop").fit(data)
    assert (result.steps, result.skipped, result.interrupted) == (2, 1, False)
    assert result.stopped.startswith("update 2: loss is nan")


def test_micro_batches_and_precision_reach_the_update():
    one, other = made(**OPTIONS), made(**OPTIONS, micro_batch=1)
    one.fit(batches())
    other.fit(batches())
    for a, b in zip(weights(one), weights(other), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    assert made(precision="bf16").update.setup.precision == "bf16"


# Lengths


class Rates(Observer):
    def __init__(self):
        self.seen = []

    def update(self, clock, report):
        self.seen.append((clock.progress, report.lr[0]))


def test_samples_end_the_run_and_the_schedule_goes_by_their_share():
    watch, data = Rates(), batches()
    counts = [int((y != -100).sum()) for _, y in data]
    result = made(until=f"{sum(counts) + counts[0]}samples", schedule=Schedule(Linear()), observers=[watch]).fit(data)
    assert result.steps == 6
    gone = [sum((counts * 2)[:k]) / (sum(counts) + counts[0]) for k in range(6)]
    assert [lr for _, lr in watch.seen] == pytest.approx([0.1 * (1 - share) for share in gone], rel=1e-4)
    assert result.final["step"] == 6


def test_seconds_end_the_run():
    watch = Rates()
    run = made(until="0.2s", schedule=Schedule(Linear(), warmup="10%"), evaluate_every="50%", observers=[watch])
    result = run.fit(batches())
    assert result.seconds >= 0.2
    assert watch.seen[-1][0] == 1.0
    assert watch.seen[-2][0] < 1.0
    assert watch.seen[-1][1] < 0.05
    assert 1 <= len(result.history) <= 3


def test_a_schedule_without_a_number_of_updates_wants_per_cent():
    run = made(until="2h", schedule=Schedule(Linear(), warmup=100))
    with pytest.raises(
        ValueError, match=r"until='2h' has no number of updates, .* give its warmup in per cent, .* not '100st'"
    ):
        run.fit(batches())


def test_samples_that_never_come_are_noticed():
    with pytest.raises(ValueError, match="until='100samples', but an epoch has counted no item; is every target masked"):
        made(until="100samples").fit(batches(2, masked=(0, 1)))


class Endless:
    """Epochs of three batches, and no length."""

    def __iter__(self):
        return iter(batches(3))


@pytest.mark.parametrize(("until", "updates"), [("2ep", 6), (4, 4), ("4st", 4)])
def test_data_without_a_length(until, updates):
    one, other = made(until=until), made(until=until)
    result = one.fit(Endless(), batches(1))
    assert (result.steps, result.final["step"]) == (updates, updates)
    other.fit(batches(3), batches(1))
    assert same(weights(one), weights(other))


def test_an_iterator_for_a_number_of_updates():
    result = made(until=4).fit(iter(batches(9)))
    assert result.steps == 4


# Torch's schedulers


def test_a_torch_scheduler_steps_once_per_applied_update():
    watch, run = Rates(), made(until=6, observers=[])
    run.schedule = torch.optim.lr_scheduler.ExponentialLR(run.optimizer, 0.5)
    run.observers = [watch]
    run.fit(batches(masked=(1, 2)))
    assert [lr for _, lr in watch.seen] == [0.1, 0.05, 0.05, 0.05, 0.025, 0.0125]


def test_plateau_steps_once_per_evaluation():
    run, watch = made(until="3ep"), Rates()
    run.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        run.optimizer, factor=0.5, patience=0, threshold=100.0, threshold_mode="abs"
    )
    run.observers = [watch]
    run.fit(batches(2), batches(1))
    assert [lr for _, lr in watch.seen] == [0.1, 0.1, 0.1, 0.1, 0.05, 0.05]


def test_a_scheduler_of_another_optimizer_is_refused():
    run = made(schedule=torch.optim.lr_scheduler.ExponentialLR(made().optimizer, 0.5))
    with pytest.raises(ValueError, match="the schedule belongs to another optimizer; make it of the trainer's"):
        run.fit(batches())
