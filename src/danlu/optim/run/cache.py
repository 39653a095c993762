"""Which kernels inductor's disk cache holds: an empty file for each, and for each kind of parameter that they serve.

The kinds are what ``compile="auto"`` goes by. Looked up once per process, so that two optimizers made alike run alike
whatever else is compiled meanwhile.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["Kind", "kind_of", "known", "note"]

Kind = tuple[str, str, bool, int]  # dtype, device, with threads, dimensions


def kind_of(p: Tensor, parallel_from: int) -> Kind:
    """What decides, beside the rule, which kernel a parameter takes."""
    return str(p.dtype), p.device.type, p.numel() >= parallel_from, min(max(p.ndim, 1), 2)  # a scalar goes as a vector


def known(rule: str, kinds: Iterable[object]) -> bool:
    """Return whether the kernels of a rule for all these kinds were there when this process first asked.

    Args:
        rule: the text of its structure.
        kinds: of its parameters, or what distinguishes its kernels.
    """
    return {_name(rule, kind) for kind in kinds} <= _there()


@cache
def note(rule: str, kind: object) -> None:
    """Remember for later processes that a kernel was built. A folder that cannot be written only costs them time."""
    with suppress(OSError):
        _folder().mkdir(parents=True, exist_ok=True)
        (_folder() / _name(rule, kind)).touch()


@cache
def _there() -> frozenset[str]:
    with suppress(OSError):
        return frozenset(path.name for path in _folder().iterdir())
    return frozenset()


def _folder() -> Path:
    return _base() / "danlu" / f"{version('danlu')}-torch{torch.__version__}"


def _base() -> Path:
    """Inductor's own cache, so that whoever empties it empties this, too. Its module would import the compiler."""
    if said := os.environ.get("TORCHINDUCTOR_CACHE_DIR"):
        return Path(said)
    try:
        user = re.sub(r'[\\/:*?"<>|]', "_", getpass.getuser())
    except KeyError as error:  # a user without a name, as in containers; Python 3.13 raises OSError itself
        raise OSError("this user has no name, so none that its cache could have") from error
    return Path(tempfile.gettempdir()) / f"torchinductor_{user}"


def _name(rule: str, kind: object) -> str:
    return hashlib.sha256(f"{rule}|{kind}".encode()).hexdigest()[:32]
