"""Paths on the command line are looked at before any work."""

import pytest
from typer.testing import CliRunner

from danlu.cli import app

TRAIN = ["train", "digits", "--set", "model=mlp", "--set", "until=3"]
EMPTY = "is empty; was a shell variable not set? The working directory is '.'"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([*TRAIN, "--out", ""], f"--out {EMPTY}"),
        ([*TRAIN, "--from", ""], f"--from {EMPTY}"),
        (["resume", ""], f"RUN {EMPTY}"),
        (["ensemble", "a", ""], f"RUN {EMPTY}"),
        (["export", "run", "--out", ""], f"--out {EMPTY}"),
        (["average", "a", "b", "--out", "none/soup"], "none/soup: No such file or directory"),
        (["lr-find", "digits", "--out", "none/a.png"], "none/a.png: No such file or directory"),
        (["lr-find", "digits", "--out", "a.xyz"], "--out a.xyz: must end in .png"),
        (["schedule", "plot", "cosine", "--out", "a"], "--out a: must end in .png"),
        (["schedule", "plot", "cosine", "--out", "there.png"], "--out there.png: cannot be written"),
        (["plot", "trajectories", "sgd", "--out", "a.gif"], "--out a.gif: must end in .png or .svg or .pdf"),
    ],
)
def test_a_path_that_cannot_be_meant_is_one_line_before_any_work(arguments, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("danlu.cli.lr_find.lr_find", lambda *_, **__: pytest.fail("the test was run"))
    (tmp_path / "there.png").mkdir()
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == f"error: {line}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]
