"""A recipe as a TOML file."""

from __future__ import annotations

import tomli_w

from danlu.recipe.recipe import Recipe

__all__ = ["dump"]


def dump(recipe: Recipe) -> str:
    """Return the recipe as TOML; `load` of a file with this text gives an equal recipe."""
    return tomli_w.dumps(recipe.model_dump())
