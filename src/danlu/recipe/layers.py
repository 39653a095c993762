"""Where the values of a recipe come from: files and ``--set``, each read into a layer that remembers its name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, final

from danlu.recipe.problems import RecipeError

__all__ = ["Layer", "parse_file", "parse_set"]

_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_WORD = re.compile(r"[^\s\"'\[\]{}=,#]+")


@final
@dataclass(frozen=True)
class Layer:
    """Values from one source.

    Args:
        label: what messages call the source.
        values: as in a recipe, tables as dicts; any part of them.
    """

    label: str
    values: Mapping[str, Any]

    def has(self, key: tuple[str, ...]) -> bool:
        """Whether this layer says something about a key or the table that it is in."""
        inside: Any = self.values
        for part in (key[0].partition("[")[0], *key[1:]):  # an entry of a list is what the list's source says
            if not isinstance(inside, Mapping):
                return True
            if part not in inside:
                return False
            inside = inside[part]
        return True


def parse_file(path: str | PathLike[str]) -> Layer:
    """Read a recipe file.

    Args:
        path: of a TOML file in UTF-8.

    Returns:
        Its values; they are not checked here.

    Raises:
        RecipeError: when it cannot be read or is no TOML, with the line where TOML gives one.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        return Layer(str(path), _named(tomllib.loads(text)))
    except OSError as error:
        raise RecipeError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise RecipeError([f"{path}: is not text in UTF-8: byte {error.start} is {error.object[error.start]:#x}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError([f"{path}: is not TOML: {error}"]) from None


def parse_set(text: str) -> Layer:
    """Read one override, ``optimizer.lr=3e-4``: a dotted key and a value as TOML has it.

    A value that is no TOML but one word is that word as text: ``schedule.name=linear``, ``until=10ep``.

    Args:
        text: what came after ``--set``.

    Returns:
        The value in its tables.

    Raises:
        RecipeError: when there is no key, no value, or the value is neither.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not _KEY.fullmatch(key):
        raise RecipeError([f"--set {text}: is not KEY=VALUE; write for example --set optimizer.lr=3e-4"])
    inside: Any = _value(value, text)
    for part in reversed(key.split(".")):
        inside = {part: inside}
    return Layer(f"--set {text}", _named(inside))


def _value(value: str, text: str) -> Any:
    try:
        found = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        found = {"value": value} if _WORD.fullmatch(value) else {}
    if found.keys() != {"value"}:  # nothing that can be read, or further lines with keys of their own
        raise RecipeError([f"--set {text}: the value is neither TOML nor one word; quote it: '\"...\"'"])
    return found["value"]


def _named(values: dict[str, Any]) -> dict[str, Any]:
    """A text in a table's place is the table's name: ``optimizer = "lion"``; the table [about] is for people."""
    tables = ("optimizer", "schedule")
    said = {key: x for key, x in values.items() if key != "about"}
    return {key: {"name": x} if key in tables and isinstance(x, str) else x for key, x in said.items()}
