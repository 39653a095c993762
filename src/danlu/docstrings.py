"""What docstrings say, for lists and pages: they are the one place where laws are described."""

from __future__ import annotations

import inspect
import re

__all__ = ["first_line", "unverified"]


def first_line(thing: object) -> str:
    """The first line of a docstring: of a piece, its law; of a preset, its formula."""
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]


def unverified(thing: object) -> str:
    """The reason, which is the sentence behind "Unverified:" in a docstring, or "" when it is not there."""
    found = re.search(r"Unverified: (.*?)(?:(?<=\.)\s|\n\s*\n|$)", inspect.getdoc(thing) or "", re.DOTALL)
    return " ".join(found.group(1).split()) if found else ""
