"""``danlu plot`` and ``danlu page --export``."""

import re

import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")

from typer.testing import CliRunner

from danlu.cli import app


def run(*args):
    return CliRunner().invoke(app, [*map(str, args)])


def test_trajectories(tmp_path):
    out = tmp_path / "paths.svg"
    found = run("plot", "trajectories", "sgd", "adamw+modify.cautious", "--lr", 0.001, "--steps", 20, "--out", out)
    assert found.exit_code == 0, found.output
    assert out.read_bytes().startswith(b"<?xml")
    assert re.search(r"^adamw\+modify.cautious, lr 0.001: ends at loss \d", found.output, re.MULTILINE)


def test_schedules_are_those_of_schedule_plot(tmp_path):
    assert run("plot", "schedules", "cosine").output == run("schedule", "plot", "cosine").output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["adamx"], "no optimizer 'adamx'"),
        (["sgd", "--surface", "rosenbruck"], "did you mean 'rosenbrock'"),
        (["sgd", "--set", "condition=3"], "no option 'condition'"),
        (["sgd", "--lr", "-1"], "must be in [0, inf)"),
    ],
)
def test_bad_wishes_write_nothing(args, message, tmp_path):
    out = tmp_path / "x.png"
    found = run("plot", "trajectories", *args, "--out", out)
    assert found.exit_code == 2
    assert message in found.output
    assert not out.exists()
