"""Lists say what no independent source confirmed."""

import json

import pytest
from typer.testing import CliRunner

from danlu import optim
from danlu.cli import app


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("kind", ["optimizers", "pieces", "losses"])
def test_unverified_ones_are_marked_and_reasoned(kind):
    rows = json.loads(run("list", kind, "--json").stdout)
    reasons = {row["name"]: row["unverified"] for row in rows}
    assert 0 < sum(map(bool, reasons.values())) < len(reasons)
    marked = {line.split()[0]: line.endswith("  (unverified)") for line in run("list", kind).stdout.splitlines()}
    assert marked == {name: bool(why) for name, why in reasons.items()}
    only = dict(line.split(maxsplit=1) for line in run("list", kind, "--unverified").stdout.splitlines())
    assert only == {name: " ".join(why) for name, why in reasons.items() if why}


def test_an_optimizer_is_unverified_through_its_pieces():
    reasons = {row["name"]: row["unverified"] for row in json.loads(run("list", "optimizers", "--json").stdout)}
    assert reasons["adamw"] == []
    assert reasons["yogi"] == [optim.yogi.unverified]
    assert reasons["adam_atan2"][0].startswith("direction.atan2: ")


def test_where_nothing_can_be_unverified_it_is_an_error():
    assert run("list", "schedules", "--unverified").exit_code == 2


def test_a_piece_is_explained_with_what_it_refuses():
    text = run("explain", "direction.ratio").stdout
    assert "\n\nrefuses\n    a composition without a moment of g² or |g| (direction.ratio)\n\nsource\n" in text
    assert "\nrefuses\n" not in run("explain", "direction.sign").stdout


def test_losses_say_which_couple_the_items_of_a_batch():
    rows = {row["name"]: row for row in json.loads(run("list", "losses", "--json").stdout)}
    assert {name for name, row in rows.items() if row["coupled"]} == {"soft_median", "trimmed_mean", "winsorized_mean"}
    assert {name for name, row in rows.items() if row["stateful"]} == {"grad_norm", "grad_tail"}
    text = run("explain", "soft_median").stdout
    assert "COUPLES the items of a batch" in text
    assert text.endswith("\n\nsource\n    source 003's sketch, repaired\n")


def test_layers_are_listed_and_explained():
    rows = {row["name"]: row["summary"] for row in json.loads(run("list", "layers", "--json").stdout)}
    assert {"drop_path", "rms_norm", "standardized_conv2d", "lsuv"} <= rows.keys()
    assert all(rows.values())
    assert run("explain", "drop_path").stdout.startswith(f"drop_path: {rows['drop_path']}\n")
    assert "did you mean 'drop_path'" in run("explain", "drop_paht").stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["list", "optimizers", "--needs", "lss"], "--needs lss: nothing is needed by that name; did you mean 'loss'"),
        (["list", "pieces", "--axis", "decya"], "--axis decya: no such axis; did you mean 'decay'?"),
        (["warmup", "adamw", "--device", "tpu"], "--device tpu: is not cpu or cuda"),
        (["explain", "AdamW"], "nothing is called 'AdamW'; did you mean 'adamw'"),
        (["report", "nowhere"], "nowhere holds no run"),
    ],
)
def test_a_misspelt_choice_is_told_with_the_nearest(arguments, line):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {line}")


def test_a_device_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = run("warmup", "adamw", "--device", "cuda")
    assert result.exit_code == 2
    assert result.stderr == "error: --device cuda: torch finds no CUDA device here; leave it out for cpu\n"


def test_an_optimizer_with_arguments_is_explained():
    told = run("explain", "adamw(betas=(0.9, 0.95))")
    assert told.exit_code == 0
    assert "Ema(beta=0.95" in told.stdout
    assert "bets" in run("explain", "adamw(bets=1)").stderr


def test_a_file_that_cannot_be_written_is_told_without_numbers(tmp_path):
    result = run("schedule", "plot", "cosine", "--out", str(tmp_path / "no" / "a.png"))
    assert result.exit_code == 2
    assert result.stderr == f"error: {tmp_path / 'no' / 'a.png'}: No such file or directory\n"
