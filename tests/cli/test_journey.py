"""``danlu plot run``: a run's path through its weights, and ``danlu plot gallery``."""

import re

import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from typer.testing import CliRunner

from danlu.cli import app

RUN = ["train", "digits", "--set", "model=mlp", "--set", "until=4ep"]


def run(*args):
    return CliRunner().invoke(app, [*map(str, args)])


def test_a_run_with_lasting_checkpoints_has_a_path(tmp_path):
    folder, out = tmp_path / "run", tmp_path / "path.png"
    assert run(*RUN, "--out", folder, "--keep-every", "1ep").exit_code == 0
    assert len([*(folder / "checkpoints").glob("step-*")]) == 4
    found = run("plot", "run", folder, "--out", out, "--side", 4)
    assert found.exit_code == 0, found.output
    share = float(re.search(r"the plane holds ([\d.]+)% of the squared distance", found.output).group(1))
    assert 90 < share <= 100
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_run_without_them_says_what_to_do(tmp_path):
    folder, out = tmp_path / "run", tmp_path / "path.png"
    assert run(*RUN, "--set", "until=1ep", "--out", folder).exit_code == 0
    found = run("plot", "run", folder, "--out", out)
    assert found.exit_code == 2
    assert "keeps 1 checkpoints, a path needs 3; train with --keep-every, such as 1ep" in found.output
    assert run("plot", "run", tmp_path / "none", "--out", out).exit_code == 2
    assert not out.exists()


def test_a_gallery_states_its_rates(tmp_path):
    found = run("plot", "gallery", tmp_path / "new", "sgd", "muon")
    assert found.exit_code == 0, found.output
    page = (tmp_path / "new" / "gallery.md").read_text()
    row = re.compile(r"^\| (\w+) \| (\S+) \| ([\d.e-]+) \| ([\d.e-]+) \| !\[\w+\]\((.*)\) \|$", re.MULTILINE)
    rows = row.findall(page.replace("=", ""))
    assert [(name, surface) for name, surface, *_ in rows] == [
        ("sgd", "Beale()"),
        ("sgd", "Rosenbrock()"),
        ("muon", "MatrixLeastSquares(condition30.0)"),
        ("muon", "MatrixLeastSquares(condition1000.0)"),
    ]
    assert all((tmp_path / "new" / file).read_bytes().startswith(b"\x89PNG") for *_, file in rows)
    assert run("plot", "gallery", tmp_path / "other", "sgdd").exit_code == 2
    assert not (tmp_path / "other").exists()
