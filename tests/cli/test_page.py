"""Every command of docs/command_line.md prints what the page says; the training runs are in test_train.py."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from danlu.cli import app
from danlu.recipe import load

PAGE = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"```console\n\$ danlu (.*)\n((?:.*\n)*?)```", PAGE)
RECIPES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("command", "expected"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_the_page_shows_what_a_command_prints(command, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in RECIPES:
        Path(text.splitlines()[0].removeprefix("# ")).write_text(text) if text.startswith("# ") else None
    arguments = shlex.split(command)
    if arguments[0] == "train" and "--recipe" not in arguments:
        assert not expected
        assert load(flags={"task": arguments[1]})
        return
    assert CliRunner().invoke(app, arguments).output.rstrip("\n") == expected.rstrip("\n")


def test_the_page_has_commands_and_recipes():
    assert len(COMMANDS) >= 5
    right, wrong = RECIPES
    assert tomllib.loads(right)["model"] == "vit"
    assert "acumulate" in wrong
    assert load_text(right).model == "vit"


def load_text(text):
    values = tomllib.loads(text)
    return load(flags=values)
