"""Recipes that come with the library: what each is for, what to expect, and where it is from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from typing import final

from danlu.recipe.problems import RecipeError
from danlu.registry import Registry, UnknownNameError

__all__ = ["About", "find_recipe", "recipes"]

_FOLDER = Path(__file__).parent / "recipes"


@final
@dataclass(frozen=True)
class About:
    """The table [about] of a recipe that comes with the library.

    Args:
        path: of the file.
        purpose: what it is for.
        expected: what it gave, with seeds and n, beside what it is compared to.
        sources: where its parts are from.
    """

    path: Path
    purpose: str
    expected: str
    sources: list[str]


@cache
def recipes() -> Registry[About]:
    """Return the recipes by name, which is the file's without ``.toml``."""
    found: Registry[About] = Registry("recipe")
    for path in _FOLDER.glob("*.toml"):
        about = tomllib.loads(path.read_text(encoding="utf-8")).get("about", {})
        given = about.get("purpose", ""), about.get("expected", ""), about.get("sources", [])
        found.add(path.stem, About(path, *given))
    return found


def find_recipe(name: str | PathLike[str]) -> Path:
    """Return the file that is meant: a path where it looks like one or is there, else the recipe of that name.

    Args:
        name: a path, such as ``my.toml`` or ``runs/digits-1/recipe.toml``, or a name, such as ``cnn``.

    Returns:
        The path; that there is a file is seen when it is read.

    Raises:
        RecipeError: for a name that there is not, with the nearest.
    """
    path = Path(name)
    if path.suffix == ".toml" or len(path.parts) > 1 or path.is_file():
        return path
    try:
        return recipes().get(str(name)).path
    except UnknownNameError as error:
        raise RecipeError([f"{error}, or give the path of a file"]) from None
