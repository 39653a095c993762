"""State that one codec has kept, for a rule with another: decoded by the one, encoded by the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import torch
from torch import Tensor

from danlu.optim.catalog import find_piece, info_of
from danlu.optim.piece import Codec
from danlu.optim.rule import Rule, outlined
from danlu.optim.run.views import complexed, compute_dtype, real
from danlu.optim.store.dense import Dense

__all__ = ["Notes", "noted", "recoded"]

Notes = Mapping[str, Mapping[str, Any]]  # slot -> the codec that kept it, as a table of its name and settings

_MANY = 2**62  # elements: a tensor that no codec leaves dense for being small


def noted(rule: Rule) -> dict[str, dict[str, Any]]:
    """Return the codec of every slot that is not kept as plain numbers, as `create` would take it.

    Two codecs may keep parts of the same names and shapes, and read each other's as other numbers.
    """
    return {slot: _table(codec.at(_MANY)) for slot, codec in rule.coded.items()}


def recoded(entry: Mapping[str, Any], notes: Notes, p: Tensor, rule: Rule, name: str) -> dict[str, Any]:
    """Return the saved state of a parameter with every slot as the rule's codecs keep it.

    What they would keep themselves is left as it is. Plain numbers need no note, and what is neither plain nor noted (saved
    before codecs were) passes unread.

    Args:
        entry: the saved state.
        notes: of the group that it was saved in.
        p: the parameter.
        rule: the rule that will go on with the state.
        name: the parameter's name, for messages.

    Raises:
        ValueError: for a note that names no codec known here, or one that cannot have kept what is there.
    """
    like, state, ours = real(p.detach().to("meta")).to(compute_dtype(p)), dict(entry), noted(rule)
    for slot, codec in rule.codecs.items():
        parts = {key[len(slot) + 1 :]: x for key, x in entry.items() if key == slot or key.startswith(slot + ".")}
        note = notes.get(slot)
        known = note is None or note == ours.get(slot)
        plain = _kept(parts, Dense(), like)
        if not parts or ((known or plain) and _kept(parts, codec, like)):
            continue
        source = Dense() if plain else codec.at(_MANY) if known else _read(note, slot)
        if not plain and (note is None or not _kept(parts, source, like)):
            if known:
                continue  # whoever adopts it says what is missing
            raise ValueError(f"load_state_dict: {slot} of {name} is not what {source} keeps, which its group says has kept it")
        first = next(iter(parts.values()))
        x = source.decode({part: real(x) for part, x in parts.items()}, torch.empty_like(like, device=first.device))
        for key in [key for key in state if key == slot or key.startswith(slot + ".")]:
            del state[key]
        state |= complexed(rule.encoded(slot, x), p)
    return state


def _kept(parts: Mapping[str, Tensor], codec: Codec, like: Tensor) -> bool:
    """Whether these are parts that a codec makes of such a tensor, by their names and shapes."""
    own = outlined(codec, like.shape, like.dtype)
    return own.keys() == parts.keys() and all(own[part].shape == real(x).shape for part, x in parts.items())


def _table(codec: Codec) -> dict[str, Any]:
    kind = type(codec)
    name = info.name if (info := info_of(kind)) else f"{kind.__module__}.{kind.__qualname__}"
    settings = {f.name: getattr(codec, f.name) for f in fields(codec)}  # type: ignore[arg-type]
    return {"name": name, **{key: x if isinstance(x, (bool, int, float, str)) else str(x) for key, x in settings.items()}}


def _read(note: Any, slot: str) -> Codec:
    try:
        settings = {**note}
        return cast("Codec", find_piece("store", settings.pop("name", "")).build(**settings))
    except (TypeError, ValueError) as error:
        line = f"load_state_dict: {slot} of the state was kept by {note!r}, which is no codec here ({error})"
        raise ValueError(line) from None
