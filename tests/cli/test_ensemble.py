import re
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from danlu.cli import app
from danlu.task import digits
from danlu.train import Ensemble, evaluate, load_weights, read_weights

QUICK = ["--set", "model=mlp", "--set", "until=15"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def danlu(*arguments):
    return CliRunner().invoke(app, arguments)


def row(out, name):
    (line,) = (line for line in out.splitlines() if re.match(rf"{name}  ", line))
    loss, accuracy = line[len(name) :].split()
    return float(loss), float(accuracy.rstrip("%"))


def test_an_ensemble_of_seeds_and_an_average_of_fine_tunings():
    assert danlu("train", "digits", *QUICK, "--out", "base").exit_code == 0
    for seed in "12":
        told = danlu("train", "digits", *QUICK, "--from", "base", "--seed", seed, "--out", seed)
        assert told.exit_code == 0
        assert "loaded 6 of 6 tensors" in told.stdout
    out = danlu("ensemble", "1", "2").stdout
    parts = digits.build("mlp")
    models = [digits.build("mlp").model for _ in "12"]
    for model, run in zip(models, "12", strict=True):
        load_weights(model, f"{run}/model.safetensors")
    expected = evaluate(Ensemble(models), parts.loss, parts.test)
    assert row(out, "ensemble     ")[0] == pytest.approx(expected["valid/loss"], abs=1e-4)
    assert row(out, "ensemble     ")[0] <= row(out, "mean of these")[0]
    out = danlu("average", "1", "2", "--out", "soup.safetensors")
    assert out.exit_code == 0
    one, two, both = (read_weights(path) for path in ("1/model.safetensors", "2/model.safetensors", "soup.safetensors"))
    torch.testing.assert_close(both["1.weight"], (one["1.weight"] + two["1.weight"]) / 2, rtol=1e-6, atol=1e-7)
    assert "greedy: " in out.stdout


def test_a_run_with_snapshots_is_an_ensemble():
    assert danlu("train", "digits", *QUICK, "--set", "snapshots=3", "--out", "run").exit_code == 0
    out = danlu("ensemble", "run").stdout
    assert all(row(out, f"run {i}        ") for i in (1, 2, 3))


def test_what_is_wrong_is_one_line():
    assert danlu("train", "digits", *QUICK, "--out", "run").exit_code == 0
    assert danlu("train", "vae", "--set", "until=1", "--out", "vae").exit_code == 0
    shutil.copytree("vae", "other")
    for arguments, line in {
        ("ensemble", "run"): "an ensemble needs two models",
        ("ensemble", "vae", "other"): "an ensemble averages the predictions of classifiers",
        ("ensemble", "run", "./run"): "run is given twice; a run counts once",
        ("average", "vae", "run", str(Path("run").resolve())): "/.*/run is given twice; a run counts once",
        ("ensemble", "run", "vae"): "run and vae have other held-out data",
        ("average", "none"): "none holds no run of danlu train",
    }.items():
        result = danlu(*arguments)
        assert result.exit_code == 2
        assert re.match(f"error: {line}", result.stderr)
        assert len(result.stderr.splitlines()) == 1
    assert not Path("soup.safetensors").exists()
