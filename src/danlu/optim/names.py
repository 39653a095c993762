"""Names of parameters and buffers as two models have them in common, one of which may be wrapped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

__all__ = ["in_common", "uncompiled"]

A = TypeVar("A")
B = TypeVar("B")

_WRAPPED = "module."  # by DistributedDataParallel; a model's own part may be called so, too


def uncompiled(name: str) -> str:
    """Return the name that it has without ``torch.compile``."""
    return name.replace("_orig_mod.", "")


def in_common(theirs: Mapping[str, A], ours: Mapping[str, B]) -> tuple[dict[str, A], dict[str, B]]:
    """Return both under the names that they have without ``torch.compile``, nor DistributedDataParallel around one of them.

    A leading ``module.`` goes where all names of one side have it and none of the other.
    """
    theirs, ours = {uncompiled(name): x for name, x in theirs.items()}, {uncompiled(name): x for name, x in ours.items()}
    return _unwrapped(theirs, ours), _unwrapped(ours, theirs)


def _unwrapped(named: Mapping[str, A], others: Iterable[str]) -> dict[str, A]:
    wrapped = all(name.startswith(_WRAPPED) for name in named) and not any(name.startswith(_WRAPPED) for name in others)
    return {name.removeprefix(_WRAPPED) if wrapped else name: x for name, x in named.items()}
