"""danlu resume and danlu export."""

import json
import os
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from danlu.cli import app
from danlu.train import Observer

RUN = ["train", "digits", "--set", "model=mlp", "--set", "until=12", "--save-every", "4", "--out", "run"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def danlu(*arguments):
    return CliRunner().invoke(app, list(arguments))


class Terminate(Observer):
    def update(self, clock, report):
        if clock.done == 7:
            signal.raise_signal(signal.SIGTERM)


def test_sigterm_then_resume_is_the_run_that_was_not_stopped(monkeypatch):
    whole = danlu(*RUN[:-1], "whole")
    assert whole.exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr("danlu.cli.run.PlainLog", Terminate)
        first = danlu(*RUN)
    assert first.exit_code == 75
    assert "go on       danlu resume run" in first.stdout
    recipe = Path("run/recipe.toml").read_bytes()
    second = danlu("resume", "run")
    assert second.exit_code == 0, second.output
    assert Path("run/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()
    assert Path("run/recipe.toml").read_bytes() == recipe
    assert "test accuracy" in second.stdout


def test_damage_is_one_warning_and_total_damage_one_error(monkeypatch):
    assert danlu(*RUN).exit_code == 0
    newest = Path("run/checkpoints/step-000000012")
    os.truncate(newest / "model.safetensors", 5)
    result = danlu("resume", "run")
    assert result.exit_code == 0
    (line,) = (line for line in result.stderr.splitlines() if "damaged" in line)
    assert line.startswith("warning: step-000000012 is damaged (model.safetensors has 5 bytes instead of ")
    for path in Path("run/checkpoints").glob("step-*/manifest.json"):
        path.write_text("junk")
    result = danlu("resume", "run")
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: run/checkpoints: no checkpoint can be read: ")
    assert line.endswith("; to begin again: danlu train --recipe run/recipe.toml --out ANOTHER")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume", "none"], "error: none holds no run of danlu train: there is no none/recipe.toml"),
        (["export", "none"], "error: none holds no checkpoint"),
        (["export", "none", "--weights", "best"], "error: none kept no best checkpoint; train with --keep-best"),
        ([*RUN, "--save-every", "soon"], "error: duration 'soon' is not understood; "),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, arguments, message):
    result = danlu(*arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(message)
    assert not list(tmp_path.iterdir())


def test_export_writes_plain_weights():
    assert danlu(*RUN, "--set", "optimizer.average=ema", "--keep-best").exit_code == 0
    for which, like in {"averaged": "model", "raw": "raw"}.items():
        result = danlu("export", "run", "--weights", which, "--out", f"{which}.safetensors")
        assert result.exit_code == 0, result.output
        found, expected = load_file(f"{which}.safetensors"), load_file(f"run/{like}.safetensors")
        assert found.keys() == expected.keys()
        assert all(found[name].equal(expected[name]) for name in found)
    assert danlu("export", "run").exit_code == 0
    assert Path("run/export.safetensors").read_bytes() == Path("averaged.safetensors").read_bytes()
    result = danlu("export", "run", "--weights", "best")
    assert result.exit_code == 0
    best = json.loads(Path("run/status.json").read_text())["best"]["step"]
    assert f"step-{best:09d}" in result.stdout


def test_no_average_to_export():
    assert danlu(*RUN).exit_code == 0
    result = danlu("export", "run", "--weights", "averaged")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: step-000000012 keeps no average; --weights raw has what was trained\n",
    )
