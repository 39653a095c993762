"""A recipe with one thing wrong: exit 2, one line that names it, no traceback, nothing written."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from danlu.cli import app
from danlu.recipe import load


def leaves(table, prefix=""):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inline(value)


def inline(value):
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {inline(x)}' for key, x in value.items())}}}"
    return f"[{', '.join(map(inline, value))}]" if isinstance(value, list) else json.dumps(value)


RIGHT = dict(leaves(load(flags={"task": "digits"}).model_dump()))
WRONG_VALUES = ["-1", "nan", "[]", "{}", "'x y'", "true", "1979-05-27"]


def written(recipe):
    return "".join(f"{key} = {value}\n" for key, value in recipe.items())


def fits(value, right):
    """Whether a wrong value is none after all: true for a switch, an empty list for a list."""
    return (value == "true" and right in {"true", "false"}) or (value == "[]" and right.startswith("["))


def mutated():
    for key, right in RIGHT.items():
        *_, name = key.split(".")
        yield f"{key} without its last letter", written({k[:-1] if k == key else k: v for k, v in RIGHT.items()}), name[:-1]
        yield f"{key} with a letter doubled", written({k + k[-1] if k == key else k: v for k, v in RIGHT.items()}), name
        yield f"{key} twice", written(RIGHT) + f"{key} = {right}\n", f"line {written(RIGHT).count(chr(10)) + 1}"
        for wrong in WRONG_VALUES:
            if not fits(wrong, right):
                yield f"{key} = {wrong}", written({**RIGHT, key: wrong}), key
    for name, text in {"no equals sign": "batch 3\n", "open string": 'model = "cnn\n', "not a table": "[optimizer\n"}.items():
        yield name, text, "my.toml"


MUTATED = list(mutated())


def test_the_recipe_is_right_before_it_is_mutated(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text(written(RIGHT))
    assert dict(leaves(load(path).model_dump())) == RIGHT
    assert len(MUTATED) >= 100


@pytest.mark.parametrize(("text", "named"), [case[1:] for case in MUTATED], ids=[case[0] for case in MUTATED])
def test_one_thing_wrong_is_one_line_and_nothing_happens(tmp_path, monkeypatch, text, named):
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(text)
    result = CliRunner().invoke(app, ["train", "--recipe", "my.toml"])
    assert result.exit_code == 2
    assert not isinstance(result.exception, Exception)  # SystemExit is none
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert named in line or line == "error: task is missing; there is chars, digits"
    assert [path.name for path in tmp_path.iterdir()] == ["my.toml"]
