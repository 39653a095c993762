"""The workload suite of ``benchmarks/tuning_free``: the same for everybody, its split kept, its arithmetic right."""

import math
from dataclasses import replace

import pytest
import torch

from benchmarks.tuning_free import plan, suite
from benchmarks.tuning_free.methods import BY_NAME, METHODS, REFERENCE
from benchmarks.tuning_free.report import entries, report
from benchmarks.tuning_free.rows import Rows
from benchmarks.tuning_free.run import LOOKS, Result, Task, model_of, train
from benchmarks.tuning_free.scores import compare, summarise
from benchmarks.tuning_free.suite import CHOICE, HELD_OUT, OTHER_KINDS, WORKLOADS
from danlu.keyed import generator

QUICK = [("diabetes_mlp", 0.001), ("cancer_mlp", 0.004)]


def test_the_split_is_disjoint_and_large_enough():
    choice, held_out, other = ({workload.name for workload in split} for split in (CHOICE, HELD_OUT, OTHER_KINDS))
    assert len(choice) == len(CHOICE) >= 12
    assert len(held_out) == len(HELD_OUT) >= 8
    assert len(WORKLOADS) == len(CHOICE) + len(HELD_OUT) + len(OTHER_KINDS)
    assert set(WORKLOADS) == choice | held_out | other
    assert not set(plan.TUNED) & set(plan.JUDGED)
    assert len({method.name for method in METHODS}) == len(METHODS)


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_seed_decides_weights_and_batches(name):
    workload = WORKLOADS[name]
    problem = workload.data()
    first, again, other = (list(model_of(workload, seed).parameters()) for seed in (3, 3, 4))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    batches = [problem.draw(generator("batches", seed)) for seed in (3, 3, 4)]
    assert all(map(torch.equal, batches[0], batches[1]))
    assert not all(map(torch.equal, batches[0], batches[2]))
    assert sum(p.numel() for p in first) <= 70_000
    model = model_of(workload, 3)
    assert 0 < problem.trivial < 10 * problem.metric(model)
    assert (
        any(
            isinstance(module, torch.nn.modules.batchnorm._NormBase) or "Norm" in type(module).__name__
            for module in model.modules()
        )
        == workload.normed
    )


@pytest.mark.parametrize(("name", "lr"), QUICK)
def test_every_optimizer_sees_the_same_batches_and_a_run_repeats(monkeypatch, name, lr):
    problem, seen = WORKLOADS[name].data(), []

    def draw(generator):
        batch = problem.draw(generator)
        seen[-1].append(batch[0].sum().item())
        return batch

    monkeypatch.setattr(suite.Workload, "data", lambda self: replace(problem, draw=draw))
    runs = []
    for method, rate in (("adamw", lr), ("adamw", lr), ("schedule_free", None)):
        seen.append([])
        runs.append(train(Task(name, 10, method, rate, LOOKS), compile=False))
    assert seen[0] == seen[1] == seen[2]
    assert len(set(seen[0])) > 1
    assert runs[0].curve == runs[1].curve
    assert runs[0].metric < 0.6 * problem.trivial, "AdamW at its tuned rate must be far from trivial"
    assert runs[0].curve != runs[2].curve


def test_a_run_that_breaks_off_has_diverged():
    result = train(Task("diabetes_mlp", 0, "sgd", 1e6, LOOKS), compile=False)
    assert math.isnan(result.metric)
    assert len(result.curve) == LOOKS
    assert plan.diverged(result.metric, 1.0)
    assert plan.capped(result.metric, 1.0) == plan.CAP
    assert plan.capped(0.5, 1.0) == 0.5


@pytest.mark.parametrize("method", [method for method in METHODS if method.known], ids=lambda method: method.name)
def test_every_method_can_be_built_for_every_kind_of_model(method):
    for name in ("chars_ln", "photo_factors", "digits_cnn_bn"):
        method.build(model_of(WORKLOADS[name], 0), 100, method.rates[0] if method.rates else None, compile=False)


def runs(workload, method, lr, metrics, curve=()):
    return [Result(Task(workload, seed, method, lr, len(curve) + 1), (*curve, x), 2.0, 1.0) for seed, x in metrics.items()]


def test_ratios_by_hand():
    reference = runs("w", "adamw", 0.1, {10: 0.2, 11: 0.4}, (0.9, 0.5, 0.3))
    ours = runs("w", "soap", None, {10: 0.1, 11: 0.1}, (0.3, 0.15, 0.2))
    found = compare(ours, reference, trivial=1.0)
    assert found.value == pytest.approx(math.sqrt(0.5 * 0.25))
    assert found.error == pytest.approx(abs(math.log(0.5) - math.log(0.25)) / math.sqrt(2) / math.sqrt(2))
    assert found.steps == (0.5, 0.25)
    assert found.diverged == 0
    assert found.close
    worse = compare(runs("w", "soap", None, {10: 9.0, 11: 0.8}, (9.0,) * 3), reference, trivial=1.0)
    assert worse.diverged == 1
    assert worse.logs == pytest.approx((math.log(1.5 / 0.2), math.log(2.0)))
    assert worse.steps == (math.inf, math.inf)
    assert not worse.close
    both = summarise({"w": found, "x": worse})
    logs = [(math.log(0.5) + math.log(7.5)) / 2, (math.log(0.25) + math.log(2.0)) / 2]
    assert both.value == pytest.approx(math.exp(sum(logs) / 2))
    assert both.error == pytest.approx(abs(logs[0] - logs[1]) / 2)
    assert (both.close, both.diverged, both.reached, both.count) == (0.5, 1, 0.5, 2)
    assert both.worst == (pytest.approx(math.sqrt(7.5 * 2.0)), "x")
    assert both.steps == math.inf
    assert both.step_to_model == 0.5


@pytest.mark.parametrize(("ratio", "close"), [(1.019, True), (1.021, False)])
def test_two_per_cent_is_as_good(ratio, close):
    reference = runs("w", "adamw", 0.1, {10: 0.2, 11: 0.4})
    assert compare(runs("w", "soap", None, {10: 0.2 * ratio, 11: 0.4 * ratio}), reference, 1.0).close == close


def test_rates_are_chosen_by_tuning_seeds_and_workloads_of_choices(tmp_path):
    rows, low, high = Rows(tmp_path / "runs.csv"), *BY_NAME[REFERENCE].rates[:2]

    def fill(workload, best):
        for lr in BY_NAME[REFERENCE].rates:
            for result in runs(workload, REFERENCE, lr, dict.fromkeys(plan.TUNED, 0.1 if lr == best else 0.2)):
                rows._take(result)

    for workload in CHOICE:
        fill(workload.name, low)
    for workload in HELD_OUT:
        fill(workload.name, high)
    for result in runs("digits_mlp", REFERENCE, high, dict.fromkeys(plan.JUDGED, 0.01)):
        rows._take(result)
    for result in runs("wine_mlp", REFERENCE, low, {0: 1e-9}):  # one lucky seed chooses nothing
        rows._take(result)
    assert plan.tuned_rate(rows, "digits_mlp", REFERENCE) == low
    assert plan.tuned_rate(rows, "wine_mlp", REFERENCE) == high
    assert plan.rate_for_all(rows) == low
    wanted = list(plan.evaluations([BY_NAME[REFERENCE]], [WORKLOADS["wine_mlp"]], rows))
    assert wanted == [Task("wine_mlp", seed, REFERENCE, lr, LOOKS) for lr in (high, low) for seed in plan.JUDGED]


def test_results_survive_in_a_file_and_are_not_made_twice(tmp_path):
    rows = Rows(tmp_path / "runs.csv")
    made = [
        *runs("digits_mlp", "soap", None, {10: 0.125}, (2.0, math.nan)),
        *runs("digits_mlp", "sgd", 0.1, {0: math.nan}),
        *runs("digits_mlp", "soap", None, {11: math.nan}, (2.0, math.nan)),
    ]
    for result in made:
        rows.add(result)
    again = Rows(rows.path)
    assert all(again.has(result.task) for result in made)
    assert not again.has(Task("digits_mlp", 0, "sgd", 0.1, 3)), "a tuning run has no curve"
    assert not again.has(Task("digits_mlp", 12, "soap"))
    for result in made:
        assert again.results[replace(result.task, looks=1)].curve == pytest.approx(result.curve, nan_ok=True)
    again.drop(["soap"])
    assert [task.method for task in Rows(rows.path).results] == ["sgd"]


def test_the_report_has_a_line_for_each_method(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    rows = Rows(tmp_path / "runs.csv")
    for name in WORKLOADS:
        for lr in BY_NAME[REFERENCE].rates:
            for result in runs(name, REFERENCE, lr, dict.fromkeys((*plan.TUNED, *plan.JUDGED), lr), (1.0,)):
                rows._take(result)
        for result in runs(name, "soap", None, dict.fromkeys(plan.JUDGED, 0.001), (1.0,)):
            rows._take(result)
    by_name = {entry.name: entry for entry in entries(rows)}
    assert set(by_name) == {"adamw, tuned", "adamw at 0.0005", "soap"}
    assert summarise(by_name["soap"].ratios).value == pytest.approx(2.0)
    report(rows, tmp_path)
    assert capsys.readouterr().out.count("| soap | 2.000 ± 0.000 | 2.000 ± 0.000 | 0% |") == 3  # each set
    assert (tmp_path / "table.md").read_text().count("**2.00**") == len(WORKLOADS)
    assert (tmp_path / "ratios.png").stat().st_size > 1000


def test_a_report_of_some_workloads_is_of_those(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    rows = Rows(tmp_path / "runs.csv")
    for lr in BY_NAME[REFERENCE].rates:
        for result in runs("wine_mlp", REFERENCE, lr, dict.fromkeys((*plan.TUNED, *plan.JUDGED), lr), (1.0,)):
            rows._take(result)
    report(rows, tmp_path)
    shown = capsys.readouterr().out
    assert shown.startswith("| held out (1 workloads)")
    assert "| adamw, tuned | 1.000" in shown
    assert "choice" not in shown
