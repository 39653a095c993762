"""The list of a checkpoint's files with sizes and hashes: written last, checked first."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from danlu.train.durable import sync

__all__ = ["FORMAT", "MANIFEST", "DamagedError", "seal", "verified"]

MANIFEST = "manifest.json"
FORMAT = 1

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz.-_")


class DamagedError(ValueError):
    """The folder is no whole checkpoint; the message says why."""


def seal(folder: Path, about: Mapping[str, Any]) -> None:
    """Write the manifest of a folder's files, and bring files, manifest and folder to the disk.

    Args:
        folder: with the files of a checkpoint.
        about: more to say in it, such as ``{"step": 12}``; JSON.
    """
    files = {}
    for path in sorted(folder.iterdir()):
        sync(path)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": _hash(path)}
    versions = {"danlu": version("danlu"), "torch": torch.__version__, "python": sys.version.split()[0]}
    content = {"format": FORMAT, **about, "versions": versions, "files": files}
    text = json.dumps({**content, "seal": _seal(content)}, indent=1) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    sync(folder / MANIFEST)
    sync(folder)


def verified(folder: Path, files: bool = True) -> dict[str, Any]:
    """Read a manifest, and every file that it lists, and compare.

    sha256 finds damage, not malice: whoever can write the files can write the hashes. What a file says can do no harm
    either way, since only safetensors and JSON are ever read.

    Args:
        folder: of a checkpoint.
        files: False for the manifest alone.

    Returns:
        The manifest.

    Raises:
        DamagedError: when anything is missing or differs.
    """
    try:
        content = _read(folder / MANIFEST)
        for name, expected in content["files"].items() if files else ():
            _compare(folder, name, expected)
    except DamagedError:
        raise
    except FileNotFoundError as error:
        raise DamagedError(f"{Path(error.filename).name} is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise DamagedError(f"{MANIFEST} cannot be read") from error
    return content


def _read(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.pop("seal") != _seal(content):
        raise DamagedError(f"{MANIFEST} does not have its own checksum")
    if content["format"] != FORMAT:
        raise DamagedError(f"its format is {content['format']!r}, this version reads {FORMAT}")
    return content


def _compare(folder: Path, name: str, expected: Mapping[str, Any]) -> None:
    if not set(name) <= _PLAIN or name.startswith("."):
        raise DamagedError(f"{MANIFEST} lists {name!r}, which is no file of a checkpoint")
    path = folder / name
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise DamagedError(f"{name} has {size} bytes instead of {expected['bytes']}")
    if _hash(path) != expected["sha256"]:
        raise DamagedError(f"{name} does not have its checksum")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
