import pytest
from typer.testing import CliRunner

from danlu.cli import app


def run(*arguments):
    return CliRunner().invoke(app, ["lr-find", *arguments])


def test_it_prints_the_curve_and_the_suggestions(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    found = run("digits", "--updates", "12", "--lowest", "1e-4", "--highest", "1", "--set", "threads=1", "--out", "curve.png")
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert lines[0].split() == ["lr", "loss", "smoothed"]
    assert lines[1].split()[0] == "0.0001"
    assert sum(line.startswith(("valley", "lowest/10", "diverged at")) for line in lines) == 3
    assert "warm-up and decay" in found.output
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["digit"], "error: task: no task 'digit'; did you mean 'digits'"),
        (
            ["digits", "--lowest", "2", "--highest", "1"],
            "error: lr_find: needs lowest < highest and 2 updates or more, got 2.0, 1.0",
        ),
    ],
)
def test_bad_input_is_one_line(arguments, line, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    found = run(*arguments)
    assert found.exit_code == 2
    assert found.output.startswith(line)
    assert len(found.output.splitlines()) == 1
    assert not list(tmp_path.iterdir())
