"""What to know before a rule is used: what it refuses, what it leaves alone, and what of it could not be verified."""

from __future__ import annotations

from collections.abc import Iterable

from danlu.optim.catalog import info_of
from danlu.optim.named import Named
from danlu.optim.piece import Piece, Stateful
from danlu.optim.roster import Preset
from danlu.optim.rule import Rule
from danlu.optim.store.dense import Dense
from danlu.registry import snake

__all__ = ["exemptions", "inside", "refusals", "routes", "unverified"]


def inside(rule: Rule) -> list[type[Piece]]:
    """The kinds of piece in a rule, those inside other pieces included; dense storage is left out."""
    found: list[Piece] = [*([] if rule.around is None else [rule.around]), *rule.pieces.values()]
    for piece in found:
        found.extend(piece.parts.values())
    return [kind for kind in dict.fromkeys(map(type, found)) if kind is not Dense]


def refusals(kinds: Iterable[type[Piece]]) -> list[str]:
    """What pieces refuse, read from their declarations.

    Args:
        kinds: classes of pieces, such as those `inside` a rule.

    Returns:
        One line for each thing that is refused, with the pieces that do so.
    """
    found: dict[str, list[str]] = {}
    for kind in kinds:
        for what in _refused(kind):
            found.setdefault(what, []).append(_name(kind))
    return [f"{what} ({', '.join(names)})" for what, names in found.items()]


def exemptions(kinds: Iterable[type[Piece]]) -> list[str]:
    """Which parameters pieces leave alone by role, a line per piece."""
    return [
        f"{_name(kind)} leaves alone: {', '.join(sorted(kind.skips_roles))} (roles are known from a module, or from groups)"
        for kind in kinds
        if kind.skips_roles
    ]


def routes(named: Named) -> list[str]:
    """Which arguments parameters of a role are given, a line for each set of them."""
    found: dict[str, list[str]] = {}
    for role, settings in named.routes.items():
        found.setdefault(" ".join(f"{key}={x}" for key, x in settings.items()), []).append(role)
    return [
        f"{', '.join(group)}: {text} (roles are known from a module, or from groups)" for text, group in found.items() if text
    ]


def unverified(preset: Preset[...], rule: Rule) -> list[str]:
    """Why a rule could not be checked against an independent source.

    Args:
        preset: the preset.
        rule: the rule that was made from it.

    Returns:
        The preset's own reason, then that of each unverified piece behind its name; nothing when all was checked.
    """
    infos = [info for kind in inside(rule) if (info := info_of(kind)) is not None]
    own = [preset.unverified] if preset.unverified else []
    return own + [f"{info.axis}.{info.name}: {info.unverified}" for info in infos if info.unverified]


def _refused(kind: type[Piece]) -> Iterable[str]:
    if "closure" in kind.needs:
        yield "step() without a closure, which is called again beside the parameters"
    if "loss" in kind.needs:
        yield "step() without loss=... or a closure"
    if kind.wants_scale:
        yield "a composition without a moment of g² or |g|"
    for slot in kind.reads if issubclass(kind, Stateful) else ():
        yield f"a composition that does not keep {slot}"


def _name(kind: type[Piece]) -> str:
    return f"{kind.axis}.{snake(kind)}"
