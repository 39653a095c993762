"""Optimizers by name, for command lines, recipe files and short scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from danlu.optim.buffers import AtAverage
from danlu.optim.catalog import find_piece
from danlu.optim.compose import compose
from danlu.optim.engine import Compile, Optimizer
from danlu.optim.named import Named
from danlu.optim.params import Params
from danlu.optim.piece import Piece
from danlu.optim.rule import SLOTS

__all__ = ["create"]

_MANY = ("grad", "modify", "after_lr", "rate")
_OPTIONAL = ("decay", "average", "write", "around")
_AXIS = {"after_lr": "modify"}  # the other slots are called like their axis


def create(
    name: str,
    params: Params,
    lr: float | Tensor | None = None,
    *,
    maximize: bool = False,
    compile: Compile = "auto",  # noqa: A002 - torch's word
    buffers: AtAverage | None = None,
    **options: Any,
) -> Optimizer:
    """Make an optimizer by its preset's name.

    Args:
        name: a preset, see `presets`, or a composition such as "adamw+cautious", see `compose`.
        params: a module, parameters, named parameters, or group dicts.
        lr: learning rate; None for the preset's default.
        maximize: climb instead of descend.
        compile: see `Optimizer`.
        buffers: "copy" or "average"; None for the preset's choice. See `Optimizer`.
        **options: the preset's arguments (``weight_decay=0.1``), and slots of the rule that replace the preset's own
            (``direction="sign"``, ``grad=[{"name": "clip_norm", "max_norm": 1.0}]``, ``decay=decay.Constant(1e-4)``): a piece,
            its name, a table with its name and options, or a list of these.

    Returns:
        The optimizer; its groups hold the preset's arguments.

    Raises:
        UnknownNameError: for an unknown preset or piece, with the nearest names.
        TypeError: for an unknown option.
        ValueError: for a value out of its range, or an argument that a replaced slot makes void.
    """
    slots = {key: _slot(key, options.pop(key)) for key in list(options) if key in SLOTS}
    composed = compose(name, **options)
    preset, slots = composed.preset, {**composed.slots, **slots}
    named = Named(preset, composed.chosen, slots)
    for key, value in options.items():
        if slots and _is_void(named, key):
            raise ValueError(f"{name}: {key}={value!r} has no effect beside {', '.join(slots)}; give it to the piece instead")
    return Optimizer(params, named, preset.lr if lr is None else lr, maximize=maximize, compile=compile, buffers=buffers)


def _is_void(named: Named, key: str) -> bool:
    """Whether an argument would change the preset's rule, but not the rule with its replaced slots."""
    preset, options = named.preset, named.options
    without = {**options, key: preset.options[key][1]}
    try:
        plain = preset(**without)
        changed = plain.but(**named.slots)
    except ValueError:  # another argument or a slot needs this one
        return False
    return plain != preset(**options) and changed == named.build(options)


def _slot(slot: str, value: Any) -> Any:
    """The pieces that a value names."""
    if slot == "moments" or (slot == "store" and isinstance(value, Mapping) and "name" not in value):
        if not isinstance(value, Mapping):
            raise TypeError(f"{slot}: needs a table of state keys and pieces, got {value!r}")
        return {key: _piece("moment" if slot == "moments" else "store", x, f"{slot}.{key}") for key, x in value.items()}
    axis = _AXIS.get(slot, slot)
    if slot in _MANY:
        return tuple(_piece(axis, x, slot) for x in (value if isinstance(value, (list, tuple)) else [value]))
    return None if value is None and slot in _OPTIONAL else _piece(axis, value, slot)


def _piece(axis: str, value: Any, where: str) -> Piece:
    if isinstance(value, Piece):
        return value
    if isinstance(value, str):
        return find_piece(axis, value).build()
    if isinstance(value, Mapping) and "name" in value:
        return find_piece(axis, value["name"]).build(**{key: x for key, x in value.items() if key != "name"})
    raise TypeError(f"{where}: needs a piece, its name, or a table with its name and options, got {value!r}")
