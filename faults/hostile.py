"""Files that run a command when they are unpickled, in every container that pickles come in."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path

import torch

from danlu.train.checkpoint import manifest

__all__ = ["hostile_files", "reseal"]


class _Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def hostile_files(marker: Path) -> Iterator[bytes]:
    """A pickle that makes `marker`: torch's zip, torch's legacy format, bare, and in a tar."""
    for zipped in (True, False):
        stream = io.BytesIO()
        torch.save({"model": _Payload(marker)}, stream, _use_new_zipfile_serialization=zipped)
        yield stream.getvalue()
    bare = pickle.dumps(_Payload(marker))
    yield bare
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        entry = tarfile.TarInfo("pickle")
        entry.size = len(bare)
        tar.addfile(entry, io.BytesIO(bare))
    yield stream.getvalue()


def reseal(folder: Path) -> None:
    """Give a checkpoint's files the right checksums, as whoever forges one would."""
    path = folder / manifest.MANIFEST
    content = json.loads(path.read_text())
    content.pop("seal")
    for name in content["files"]:
        data = (folder / name).read_bytes()
        content["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    seal = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**content, "seal": seal}))
