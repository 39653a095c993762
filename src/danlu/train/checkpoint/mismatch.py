"""A checkpoint that is whole but of something else."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["MismatchError", "differing"]

_SHOWN = 3


class MismatchError(ValueError):
    """The checkpoint belongs to another model, optimizer or run; the message says what differs, and nothing has changed."""


def differing(what: str, theirs: Collection[str], ours: Collection[str]) -> None:
    """Compare two sets of names.

    Args:
        what: whose they are.
        theirs: in the checkpoint.
        ours: in this run.

    Raises:
        MismatchError: when they are not the same, with the first few on each side.
    """
    only_theirs = [name for name in theirs if name not in set(ours)]
    only_ours = [name for name in ours if name not in set(theirs)]
    if only_theirs or only_ours:
        parts = [f"{side} {_first(names)}" for side, names in (("has", only_theirs), ("lacks", only_ours)) if names]
        raise MismatchError(f"its {what} {' and '.join(parts)}")


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
