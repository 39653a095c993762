import json
import os
import runpy
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

import danlu.__main__
from danlu import data, loss, optim, schedule
from danlu.cli import app
from danlu.task import tasks


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def error_of(*arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line.removeprefix("error: ")


def test_version():
    assert run("--version").stdout == f"danlu {version('danlu')}\n"


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("optimizers", optim.roster.PRESETS),
        ("schedules", schedule.schedules()),
        ("losses", loss.losses()),
        ("augmentations", data.augmentations()),
        ("tasks", tasks()),
        ("pieces", [f"{axis}.{name}" for axis, names in optim.pieces().items() for name in names]),
    ],
)
def test_lists_are_complete(kind, names):
    lines = run("list", kind).stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(names)
    assert all(len(line.split()) > 2 for line in lines)
    rows = json.loads(run("list", kind, "--json").stdout)
    assert [row["name"] for row in rows] == list(names)
    assert all(row["summary"] for row in rows)


def test_an_unknown_kind_is_one_line():
    assert error_of("list", "optimiser") == "no kind of list 'optimiser'; did you mean 'optimizers'?"


@pytest.mark.parametrize(
    "name",
    [
        *optim.roster.PRESETS,
        *schedule.schedules(),
        *loss.losses(),
        *data.augmentations(),
        *tasks(),
        "decay.decoupled",
        "moment.ema",
    ],
)
def test_every_name_is_explained(name):
    out = run("explain", name).stdout
    assert out.startswith(f"{name}: ")
    assert len(out) > len(name) + 10


def test_an_optimizer_is_explained_as_in_python():
    assert run("explain", "adamw").stdout == optim.explain("adamw") + "\n"


def test_a_task_is_explained_with_its_models():
    out = run("explain", "digits").stdout
    assert "    cnn (default): " in out
    assert "    vit: " in out


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("adamv", "'adam'"),
        ("cosin", "'cosine'"),
        ("focall", "'focal'"),
        ("mixu", "'mixup'"),
        ("digit", "'digits'"),
        ("decay.decouple", "'decay.decoupled'"),
        ("qqqq", "danlu list"),
    ],
)
def test_an_unknown_name_is_one_line(name, near):
    assert error_of("explain", name).startswith(f"nothing is called {name!r}; ")
    assert near in error_of("explain", name)


def test_schedules_are_plotted():
    out = run("schedule", "plot", "cosine", "linear", "--warmup", "10%", "--total", "50", "--lr", "0.25").stdout
    curve = schedule.text(schedule.create("cosine", warmup="10%"), 50, 100, lr=0.25)
    assert out.startswith(f"cosine\n{curve}\n\nlinear\n")


def test_options_and_stairs_reach_the_plot():
    arguments = ["--set", "power=3", "--per", "epoch", "--total", "40", "--steps-per-epoch", "10", "--warmup-from", "zero"]
    curve = schedule.create("polynomial", power=3, per="epoch", warmup_from="zero")
    assert run("schedule", "plot", "polynomial", *arguments).stdout == f"polynomial\n{schedule.text(curve, 40, 10)}\n\n"


def test_a_picture_is_written(tmp_path):
    path = tmp_path / "lr.png"
    assert run("schedule", "plot", "cosine", "linear", "--out", str(path)).stdout.endswith(f"picture in {path}\n")
    assert path.read_bytes().startswith(b"\x89PNG")


LENGTHS = "200 or '200st' (updates), '10ep' (epochs), '5%' (of the whole run), '1e6samples', '2h', '30min' or '90s'"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["cosin"], "no schedule 'cosin'; did you mean 'cosine'?"),
        (["cosine", "--set", "flor=0.1"], "schedule 'cosine' has no option 'flor'; did you mean 'floor'?"),
        (["cosine", "--set", "floor=2"], "cosine: floor must be in [0, 1], got 2"),
        (["cosine", "--set", "floor"], "--set floor: is not KEY=VALUE; write for example --set optimizer.lr=3e-4"),
        (["cosine", "--lr", "nan"], "schedule plot: --lr must be in [0, inf), got nan"),
        (["cosine", "--lr", "inf"], "schedule plot: --lr must be in [0, inf), got inf"),
        (["cosine", "--lr", "-1"], "schedule plot: --lr must be in [0, inf), got -1.0"),
        (["cosine", "--warmup", "two"], f"duration 'two' is not understood; write {LENGTHS}"),
    ],
)
def test_what_cannot_be_plotted_is_one_line(arguments, line):
    assert error_of("schedule", "plot", *arguments) == line


def test_an_unknown_command_is_told():
    result = run("trian")
    assert result.exit_code == 2
    assert "train" in result.stderr


def test_without_the_extra_one_line_names_it(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.partition(".")[0] == "typer" or name.startswith("danlu.cli")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as caught:
        danlu.__main__.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: the command line needs typer; pip install 'danlu[cli]'\n"


def test_the_module_runs_as_a_program(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["danlu", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(Path(danlu.__main__.__file__)), run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"danlu {version('danlu')}\n"


def test_lists_are_filtered():
    names = [line.split()[0] for line in run("list", "optimizers", "ada*", "--max-bytes", "4").stdout.splitlines()]
    assert "adagrad" in names
    assert "adam" not in names
    assert all(name.startswith("ada") for name in names)
    axis = [line.split()[0] for line in run("list", "pieces", "--axis", "decay").stdout.splitlines()]
    assert axis == [f"decay.{name}" for name in optim.pieces()["decay"]]
    needing = [line.split()[0] for line in run("list", "optimizers", "--needs", "grad").stdout.splitlines()]
    assert needing == list(optim.roster.PRESETS)
    nothing = run("list", "optimizers", "zzz*")
    assert nothing.exit_code == 2


def test_a_composition_is_explained():
    assert "ClipValue(upper=0.5)" in run("explain", "adamw+clip_value(upper=0.5)").stdout
    assert run("explain", "adamw+clip_valu").exit_code == 2


@pytest.mark.parametrize("command", [("ensemble",), ("warmup",), ("list",), ("plot", "gallery"), ("plot", "trajectories")])
def test_help_has_no_brackets_or_dots_twice(command):
    usage = run(*command, "--help").stdout
    assert "...}..." not in usage
    assert "...]..." not in usage
    assert "[[" not in usage


@pytest.mark.parametrize("arguments", [["list", "optimizers"], ["explain", "adamw"]])
def test_output_that_nobody_reads_ends_the_command_in_silence(arguments):
    read, write = os.pipe()
    os.close(read)
    made = subprocess.run([sys.executable, "-m", "danlu", *arguments], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (made.returncode, made.stderr) == (141, b"")
