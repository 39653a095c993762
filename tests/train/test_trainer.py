import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from danlu.data import TensorLoader
from danlu.loss import LossSum
from danlu.schedule import Linear, Schedule
from danlu.train import Callback, Observer, Trainer, evaluate

from .toys import Watch, batches, cut, loss, network, same, tokens, trainer

# Length, order, schedule


@pytest.mark.parametrize(
    ("n", "accumulate", "until", "updates"),
    [(5, 1, "2ep", 10), (5, 2, "2ep", 6), (5, 9, "3ep", 3), (5, 2, 7, 7), (4, 2, "4st", 4), (3, 1, "0.5ep", 2)],
)
def test_length(n, accumulate, until, updates):
    watch = Watch()
    result = trainer(watch=watch, accumulate=accumulate, until=until).fit(batches(n))
    assert (result.steps, result.skipped) == (updates, 0)
    assert watch.events.count("update") == updates
    assert (watch.events[0], watch.events[-1]) == ("start", "end")
    assert result is watch.result


def test_it_is_update_after_update():
    model, twin, data = network(), network(), batches(5)
    result = trainer(model, accumulate=2, until="2ep", clip=0.5).fit(data)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    sums = []
    for window in [data[0:2], data[2:4], data[4:5]] * 2:
        x, y = (torch.cat(parts) for parts in zip(*window, strict=True))
        optimizer.zero_grad()
        found = loss(twin, (x, y))
        found.mean.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        optimizer.step()
        sums.append((found.total.item(), int(found.count)))
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)  # torch's clipping has an epsilon of 1e-6
    for row, epoch in zip(result.history, (sums[:3], sums[3:]), strict=True):
        wanted = sum(total for total, _ in epoch) / sum(count for _, count in epoch)
        assert row["train/loss"] == pytest.approx(wanted, rel=1e-4)


RAMP = Schedule(Linear(), warmup=3)  # 1/3 2/3 1 over updates 0 1 2, then (T − k)/(T − 3)


@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
@pytest.mark.parametrize(
    ("accumulate", "masked", "skipped", "factors"),
    [
        (1, (), 0, [1 / 3, 2 / 3, 1, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]),
        (2, (), 0, [1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3]),
        (1, (1, 2), 4, [1 / 3, 2 / 3, 2 / 3, 2 / 3, 1, 1, 6 / 7, 6 / 7, 6 / 7, 5 / 7]),
        (2, (0, 1), 2, [1 / 3, 1 / 3, 2 / 3, 1, 1, 1]),
    ],
)
def test_lr_of_every_window(optimizer, accumulate, masked, skipped, factors):
    model, watch = network(), Watch()
    made = {"sgd": torch.optim.SGD, "lbfgs": torch.optim.LBFGS}[optimizer](model.parameters(), lr=0.3)
    run = trainer(model, watch, optimizer=made, accumulate=accumulate, schedule=RAMP, until="2ep", evaluate_every="1ep")
    result = run.fit(batches(5, masked))
    assert [report.lr for report in watch.reports] == [[pytest.approx(0.3 * f, rel=1e-14)] for f in factors]
    assert result.skipped == sum(report.skipped for report in watch.reports) == skipped
    assert result.steps == len(factors) - skipped


def test_a_schedule_of_any_number():
    model, watch = network(), Watch()
    optimizer, seen = torch.optim.AdamW(model.parameters(), weight_decay=0.5, lr=0.1), []
    watch.update = lambda clock, report: seen.append((report.lr[0], optimizer.param_groups[0]["weight_decay"]))
    trainer(model, watch, optimizer=optimizer, schedule={"weight_decay": Schedule(Linear())}, until=4).fit(batches(2))
    assert seen == [(0.1, 0.5), (0.1, 0.375), (0.1, 0.25), (0.1, 0.125)]


def test_loader_epochs_are_asked_for_in_order():
    asked = []

    class Loader(list):
        def epoch(self, e):
            asked.append(e)
            return iter(self)

    trainer(until="3ep").fit(Loader(batches(2)), Loader(batches(2)))
    assert asked == [0, 0, 1, 0, 2, 0]  # training and validation by turns; the latter is always epoch 0


# Randomness


def noisy_run(**options):
    model = network(0, nn.Dropout(0.5))
    trainer(model, until=12, **options).fit(batches(4), options.get("valid"))
    return [p.detach().clone() for p in model.parameters()]


def test_dropout_is_a_function_of_seed_and_step():
    first = noisy_run()
    torch.rand(100)
    assert same(noisy_run(), first)
    assert same(noisy_run(evaluate_every=1), first)
    assert not same(noisy_run(seed=1), first)

    class Draws(Observer):
        def update(self, clock, report):
            torch.rand(clock.done)

    model = network(0, nn.Dropout(0.5))
    trainer(model, Draws(), until=12).fit(batches(4))
    assert same(list(model.parameters()), first)


def test_a_shuffling_dataloader_follows_the_seed():
    def run(seed):
        model = network()
        trainer(model, until="2ep", seed=seed).fit(DataLoader(TensorDataset(*tokens(9)), batch_size=4, shuffle=True))
        return list(model.parameters())

    assert same(run(0), run(0))
    assert not same(run(0), run(1))


# Evaluation


@pytest.mark.parametrize(
    ("every", "at"), [("1ep", [5, 10, 12]), (4, [4, 8, 12]), ("50%", [6, 12]), (7, [7, 12]), ("100ep", [12])]
)
def test_evaluations_come_when_they_are_due_and_at_the_end(every, at):
    model, valid = network(), cut(tokens(7, 9), [3, 4])
    result = trainer(model, until=12, evaluate_every=every).fit(batches(5), valid)
    assert [row["step"] for row in result.history] == at
    assert result.final == result.history[-1]
    assert evaluate(model, loss, [tokens(7, 9)]) == {
        key: pytest.approx(result.final[key], rel=1e-13) for key in ("valid/loss", "valid/accuracy")
    }
    assert model.training


def test_best_is_the_lowest_validation_loss_and_never_nan():
    values = iter([math.nan, 3.0, 1.0, 2.0])

    class Scripted(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(()))

    def scripted(model, batch):
        return (model.w + 1 if model.training else torch.tensor(next(values))), 1

    result = trainer(Scripted(), loss=scripted, until="4ep").fit([0], [0])
    assert [row["valid/loss"] for row in result.history][2:] == [1.0, 2.0]
    assert result.best["step"] == 3
    assert result.final["step"] == 4
    without = trainer(until="4ep").fit(batches(3))
    assert without.best == min(without.history, key=lambda row: row["train/loss"])
    assert "valid/loss" not in without.best


def test_skipped_windows_are_in_the_row_and_not_in_the_mean():
    watch = Watch()
    result = trainer(watch=watch, until="1ep").fit(batches(4, masked=(1, 2)))
    applied = [report for report in watch.reports if not report.skipped]
    wanted = sum(r.loss * r.count for r in applied) / sum(r.count for r in applied)
    assert result.final["train/loss"] == pytest.approx(wanted, rel=1e-14)
    assert result.final["skipped"] == 2


def test_a_part_kept_in_eval_mode_stays_there():
    model = network(0, nn.BatchNorm1d(3))
    model[2].eval()
    trainer(model, until="1ep").fit(batches(2), batches(2))
    assert not model[2].training
    assert int(model[2].num_batches_tracked) == 0
    model.eval()
    trainer(model, until="1ep").fit(batches(2))
    assert model[2].training


def test_batch_norm_with_accumulation_is_said_once():
    with pytest.warns(UserWarning, match="accumulate=2 with BatchNorm: its statistics are those of each batch") as said:
        trainer(network(0, nn.BatchNorm1d(3)), accumulate=2, until="2ep").fit(batches(4))
    assert len(said) == 1
    assert said[0].filename == trainer.__code__.co_filename  # the line that makes the Trainer


# What is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accumulate": 0}, r"Trainer: accumulate must be in \[1, inf\), got 0"),
        ({"clip": -1.0}, r"clip must be"),
        ({"nonfinite": "ignore"}, "nonfinite must be one of raise, skip"),
        ({"until": "20 epochs"}, "duration '20 epochs' is not understood"),
        ({"until": 0}, "until must be longer than 0"),
        ({"evaluate_every": "0ep"}, "evaluate_every must be longer than 0, got '0ep'"),
        ({"seed": 0.5}, "seed must be a whole number"),
    ],
)
def test_bad_options_are_refused_before_anything_runs(options, words):
    with pytest.raises(ValueError, match=words):
        trainer(**options)


def test_an_unknown_option_is_not_swallowed():
    with pytest.raises(TypeError, match="epochs"):
        trainer(epochs=3)


def test_a_length_in_per_cent_of_itself_is_refused():
    with pytest.raises(ValueError, match="'5%' needs the length of the run"):
        trainer(until="5%").fit(batches(2))


def test_data_without_length_or_batches_is_refused():
    with pytest.raises(TypeError, match="train has no length and can be read only once, not in every epoch; give a list"):
        trainer().fit(iter(batches(2)))
    with pytest.raises(ValueError, match="train has no batch"):
        trainer().fit([])
    watch = Watch()
    with pytest.raises(ValueError, match="valid has no batch; give None"):
        trainer(watch=watch).fit(batches(2), [])
    assert watch.events == []


def test_a_bare_mean_is_refused_at_the_first_update():
    run = trainer(loss=lambda model, batch: loss(model, batch).mean)
    with pytest.raises(TypeError, match=r"return \(sum over the items, their number\)"):
        run.fit(batches(2))


def test_tensor_loader_end_to_end():
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > x[:, 1]).long()
    model = nn.Linear(2, 2)
    run = trainer(model, optimizer=torch.optim.Adam(model.parameters(), lr=0.1), until="15ep")
    result = run.fit(TensorLoader(x, y, batch=16), TensorLoader(x, y, batch=50, shuffle=False))
    assert result.final["valid/accuracy"] > 0.9  # a smoke test


def test_a_run_ends_well_when_an_update_demands_it():
    data = [tokens(4, k) for k in range(5)]
    data[3] = (data[3][0] * math.nan, data[3][1])
    result = trainer(network(), until="4ep", nonfinite="stop").fit(data)
    assert (result.steps, result.skipped) == (3, 1)
    assert result.stopped.startswith("update 3: loss is nan")
    assert not result.error


def test_precision_and_micro_batches_go_to_the_update_and_the_evaluation():
    seen = set()

    def watching(model, batch):
        found = model(batch[0])
        seen.add((found.dtype, len(batch[0]), model.training))
        return loss(model, batch)

    data = [(x.float(), y) for x, y in (tokens(5, k) for k in range(3))]
    one = Trainer(
        network().float(), watching, optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.1), until="2ep", observers=[],
        precision="bf16", micro_batch=3,
    )  # fmt: skip
    one.fit(data, data[:1])
    assert seen == {(torch.bfloat16, 3, True), (torch.bfloat16, 2, True), (torch.bfloat16, 5, False)}


def test_callbacks_change_gradients_before_they_are_clipped():
    seen = []

    class Doubles(Callback):
        def grads(self, parameters, clock):
            seen.append(clock.step)
            for p in parameters:
                p.grad *= 2

    ends = []
    for callbacks, lr in (([Doubles()], 0.1), ([], 0.2)):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        Trainer(model, loss, optimizer, until=3, observers=[], callbacks=callbacks).fit([tokens(4, k) for k in range(3)])
        ends.append(nn.utils.parameters_to_vector(model.parameters()))
    assert seen == [0, 1, 2]
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-14)


def test_the_training_mean_adds_the_means_of_the_parts():
    def with_part(model, batch):
        found = loss(model, batch)
        return LossSum(found.total, found.count, {}, {"size": (model(batch[0]).square().sum(), len(batch[0]))})

    model, data = network(), [tokens(4, 0), tokens(2, 1)]
    result = Trainer(model, with_part, torch.optim.SGD(model.parameters(), lr=0.0), until="1ep", observers=[]).fit(data, data)
    assert result.final["train/loss"] == pytest.approx(result.final["valid/loss"], rel=1e-12)
    assert result.final["train/size"] == pytest.approx(result.final["valid/size"], rel=1e-12)


def test_what_an_observer_draws_moves_no_evaluation():
    """Also where an evaluation draws itself, as that of a variational autoencoder does."""

    class Drawing(Observer):
        def update(self, clock, report):
            torch.randn(3)

    def noisy(model, batch):
        found = loss(model, batch)
        return found.total * (1 + 0.1 * torch.rand(())), found.count

    losses = []
    for observers in ([], [Drawing()]):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        result = Trainer(model, noisy, optimizer, until=4, evaluate_every=2, observers=observers).fit(batches(5), batches(2))
        losses.append([row["valid/loss"] for row in result.history])
    assert losses[0] == losses[1]
