"""Compositions as text: ``adamw+cautious+decay.stable(rate=0.01)``."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from danlu.optim.catalog import PIECES, PieceInfo, find_piece
from danlu.optim.named import Named
from danlu.optim.piece import Piece
from danlu.optim.roster import find_preset
from danlu.registry import UnknownNameError, did_you_mean

__all__ = ["compose"]

_ADDED = ("grad", "modify", "after_lr", "rate")  # axes that hold several pieces; the others hold one, which is replaced


def compose(text: str, **options: Any) -> Named:
    """Read a composition: a preset, then pieces that are added to it or replace its own.

    Args:
        text: names joined by "+". The first is a preset; each other one a piece, as its name or, where two axes have that name,
            as ``axis.name`` (``after_lr.`` places a modify piece after lr). A name may carry options:
            ``clip_norm(max_norm=1.0)``.
        **options: more arguments of the preset.

    Returns:
        The preset with its arguments and pieces, from which an `Optimizer` builds its rule.

    Raises:
        UnknownNameError: for an unknown name, with the nearest ones, or a name that several axes have.
        TypeError: for options that are not ``name=value``, unknown or missing.
        ValueError: for a value out of its range.
    """
    first, *rest = _split(text)
    name, own = _read(first)
    preset = find_preset(name)
    named = Named(preset, {**own, **options})
    rule = named.build(named.options)
    slots: dict[str, Any] = {}
    for word in rest:
        axis, piece = _piece(word)
        slots[axis] = (*slots.get(axis, getattr(rule, axis)), piece) if axis in _ADDED else piece
    return Named(preset, named.chosen, slots)


def _split(text: str) -> list[str]:
    """The names between the plus signs, those inside parentheses left alone."""
    words, depth = [""], 0
    for letter in text.replace(" ", ""):
        depth += (letter == "(") - (letter == ")")
        if letter == "+" and depth == 0:
            words.append("")
        else:
            words[-1] += letter
    return words


def _read(word: str) -> tuple[str, Mapping[str, Any]]:
    """A name and its options, from ``name`` or ``name(option=value, ...)``."""
    name, opened, rest = word.partition("(")
    if not opened:
        return name, {}
    try:
        call = ast.parse(f"f({rest}", mode="eval").body
        assert isinstance(call, ast.Call)
        assert not call.args
        return name, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, AssertionError):
        raise TypeError(f"{name}: options are written name(option=value), got {word!r}") from None


def _piece(word: str) -> tuple[str, Piece]:
    name, options = _read(word)
    axis, dot, short = name.rpartition(".")
    info = find_piece("modify" if axis == "after_lr" else axis, short) if dot else _only(name)
    return axis if axis == "after_lr" else info.axis, info.build(**options)


def _only(name: str) -> PieceInfo:
    found = [table.get(name) for table in PIECES.values() if name in table]
    if len(found) > 1:
        raise UnknownNameError(f"{name!r} is the name of several pieces: {' or '.join(f'{x.axis}.{x.name}' for x in found)}?")
    if not found:
        raise UnknownNameError(f"no piece {name!r}{did_you_mean(name, {n for table in PIECES.values() for n in table})}")
    return found[0]
