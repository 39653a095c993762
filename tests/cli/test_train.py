import json
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from danlu.cli import app
from danlu.recipe import load
from danlu.train import Observer

QUICK = ["--set", "model=mlp", "--set", "until=3"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(*arguments):
    return CliRunner().invoke(app, ["train", *arguments])


def rows(folder):
    lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == "evaluated"]


def test_the_default_recipe_reaches_its_accuracy():
    result = train("digits")
    assert result.exit_code == 0
    accuracy = rows("runs/digits-1")[-1]["valid/accuracy"]
    assert accuracy >= 0.985
    assert f"test accuracy {accuracy:.2%}" in result.stdout
    assert "misread: " in result.stdout


def test_a_run_leaves_what_repeats_it_bit_for_bit():
    first = train("digits", *QUICK, "--seed", "3", "--out", "first")
    assert first.exit_code == 0
    assert "\n3 updates, batch 64, adamw" in first.stdout
    names = {path.name for path in Path("first").iterdir()}
    assert names == {"recipe.toml", "env.json", "metrics.jsonl", "model.safetensors", "status.json", "checkpoints"}
    assert train("--recipe", "first/recipe.toml", "--out", "second").exit_code == 0
    for name in ("recipe.toml", "model.safetensors"):
        assert Path("first", name).read_bytes() == Path("second", name).read_bytes()
    assert train("--recipe", "first/recipe.toml", "--out", "third", "--seed", "4").exit_code == 0
    assert Path("first/model.safetensors").read_bytes() != Path("third/model.safetensors").read_bytes()
    assert load("third/recipe.toml").seed == 4


def test_the_end_says_what_came_of_it_and_what_to_do_next():
    out = train("digits", *QUICK).stdout
    row = rows("runs/digits-1")[-1]
    assert f"test accuracy {row['valid/accuracy']:.2%}, test loss {row['valid/loss']:.4f} nats" in out
    assert out.splitlines()[:2] == ["digits: mlp, 85,002 parameters", "3 updates, batch 64, adamw at lr 0.002, cosine, seed 0"]
    for part in (
        "best loss ",
        "final ",
        "3 updates",
        "run folder  runs/digits-1",
        "next        danlu train digits --set model=mlp_deep",
    ):
        assert part in out
    (again,) = (line for line in out.splitlines() if line.startswith("again"))
    assert train(*again.split()[3:]).exit_code == 0


def test_folders_are_numbered():
    Path("runs/digits-7").mkdir(parents=True)
    Path("runs/digits-old").mkdir()
    Path("runs/chars-9").mkdir()
    assert train("digits", *QUICK).exit_code == 0
    assert Path("runs/digits-8/model.safetensors").is_file()


def test_another_runs_folder_is_left_alone():
    train("digits", *QUICK, "--out", "mine")
    before = Path("mine/model.safetensors").read_bytes()
    result = train("digits", *QUICK, "--seed", "1", "--out", "mine")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: mine holds another run")
    assert result.stderr.endswith("; resume it, choose another --out or delete the folder\n")
    assert Path("mine/model.safetensors").read_bytes() == before


def test_weights_of_another_model_are_one_line():
    save_file({"a": torch.zeros(3)}, "odd.safetensors")
    save_file({"1.weight": torch.zeros(3)}, "small.safetensors")
    for name, words in {
        "odd": "no name fits: 'a' in the file; there is 1.bias, 1.weight, 4.bias, 4.weight, 7.bias, 7.weight",
        "small": "1.weight has shape [3] in the file, [256, 64] in the model; no tensor fits",
    }.items():
        result = train("digits", *QUICK, "--from", f"{name}.safetensors", "--out", "other")
        assert (result.exit_code, result.stderr) == (2, f"error: load_weights: {words}\n")


def test_one_update_is_an_update():
    result = train("digits", "--set", "model=mlp", "--set", "until=1")
    assert "training: 1 update, " in result.stderr
    assert "finished after 1 update, " in result.stderr


def test_a_run_that_fails_is_one_line_and_exit_1():
    result = train("digits", *QUICK, "--set", "optimizer=sgd", "--set", "optimizer.lr=1e38", "--set", "schedule.warmup=0")
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "finite" in errors[0]
    assert errors[0].endswith("; set a lower optimizer.lr, or a lower clip")
    assert "Traceback" not in result.output


class WantsTooMuch(Observer):
    def update(self, clock, report):
        if clock.done == 2:
            torch.empty(2**48)  # more than there are addresses


def test_no_memory_is_one_line_and_the_last_checkpoint_stays(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("danlu.cli.run.PlainLog", WantsTooMuch)
        result = train("digits", *QUICK, "--save-every", "1")
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith("error: out of memory: ")
    assert errors[0].endswith("; lower batch, or make room and danlu resume runs/digits-1")
    assert "Traceback" not in result.output
    assert CliRunner().invoke(app, ["resume", "runs/digits-1"]).exit_code == 0
    train("digits", *QUICK)
    ended, whole = (load_file(f"runs/digits-{n}/model.safetensors") for n in (1, 2))
    assert all(torch.equal(ended[name], whole[name]) for name in whole)


class PressCtrlC(Observer):
    def __init__(self, times):
        self.times = times

    def update(self, clock, report):
        for _ in range(self.times):
            signal.raise_signal(signal.SIGINT)
            self.times -= 1


def test_ctrl_c_ends_well(monkeypatch):
    monkeypatch.setattr("danlu.cli.run.PlainLog", lambda: PressCtrlC(1))
    result = train("digits", *QUICK, "--set", "until=10ep")
    assert result.exit_code == 130
    assert json.loads(Path("runs/digits-1/status.json").read_text())["state"] == "interrupted"
    assert Path("runs/digits-1/model.safetensors").is_file()
    assert "interrupted: " in result.stdout
    assert " 1 update, " in result.stdout


def test_ctrl_c_twice_ends_at_once(monkeypatch):
    monkeypatch.setattr("danlu.cli.run.PlainLog", lambda: PressCtrlC(2))
    result = train("digits", *QUICK)
    assert result.exit_code == 130
    assert result.stderr.endswith("error: left at once; no weights were written, the numbers so far are in runs/digits-1\n")
    assert not Path("runs/digits-1/model.safetensors").exists()
