"""The checkpoints of a run: which there are, which are kept, and the newest that is whole."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, final

from danlu.ranges import Interval, check, hints
from danlu.schedule import Duration
from danlu.train.checkpoint.manifest import DamagedError, verified
from danlu.train.checkpoint.snapshot import Snapshot
from danlu.train.durable import replaced, sync

__all__ = ["Checkpoints", "Keep"]

_NAME = re.compile(r"step-(\d{9,})")


@final
@dataclass(frozen=True)
class Keep:
    """Which checkpoints stay.

    Args:
        last: so many of the newest; at least 2, so that one is left when the newest turns out to be damaged.
        best: whether the one after the best evaluation stays, which is then a reason to make one.
        every: one in each such interval stays for good, such as ``"10ep"``; None for none.

    Raises:
        ValueError: on `last` below 2, or an interval that is not understood or of no length.
    """

    last: Annotated[int, Interval(2, float("inf"), "left")] = 2
    best: bool = False
    every: int | str | Duration | None = None

    def __post_init__(self) -> None:
        check("Keep", hints(Keep), {"last": self.last, "best": self.best})
        if self.every is not None:
            length = Duration.parse(self.every)
            if not length.amount:
                raise ValueError(f"Keep: every must be longer than 0, got {self.every!r}")


@final
class Checkpoints:
    """A folder with one folder per checkpoint, ``step-000000120``, and the files ``latest`` and ``best``, each with a name.

    A checkpoint is written under another name and renamed when it is complete and on the disk; the files that point to
    it are moved last. So a folder of that name is a whole checkpoint, unless it was damaged later, which its hashes
    show. `latest` is for people: what is resumed is the newest one that is whole.

    Args:
        folder: of the checkpoints; made when the first one is saved.
        keep: which ones stay.
    """

    LATEST, BEST = "latest", "best"

    def __init__(self, folder: Path, keep: Keep | None = None) -> None:
        self.folder, self.keep = folder, Keep() if keep is None else keep

    def all(self) -> list[Path]:
        """Return the checkpoints, damaged ones too, the newest first."""
        found = [path for path in self.folder.glob("step-*") if _NAME.fullmatch(path.name) and path.is_dir()]
        return sorted(found, key=_step, reverse=True)

    def clean(self) -> None:
        """Remove what was left of writes and removals that were cut off."""
        for path in self.folder.glob(".*.tmp"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def save(self, step: int, fill: Callable[[Path], Any], *, best: bool = False) -> Path:
        """Write a checkpoint, let the files point to it, and remove those that are no longer kept.

        Args:
            step: its number, above those that are there.
            fill: writes it, with its manifest, into the folder that it is given.
            best: whether it is the best so far.

        Returns:
            Its folder.

        Raises:
            OSError: when it cannot be written; nothing but the attempt is gone then.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f".{uuid.uuid4().hex}.tmp"
        place = self.folder / f"step-{step:09d}"
        try:
            beside.mkdir()
            fill(beside)
            self._away(place)  # one of the same step is of the same state, but for how the run ended there
            beside.rename(place)
            sync(self.folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        self._point(self.LATEST, place)
        if best:
            self._point(self.BEST, place)
        self._prune()
        return place

    def newest(self, told: Callable[[str], Any]) -> Snapshot | None:
        """Return the newest checkpoint that is whole.

        Args:
            told: is given one line if newer ones are damaged.

        Returns:
            It, read; or None when there is none at all.

        Raises:
            DamagedError: when there are some, and all are damaged.
        """
        damaged: list[str] = []
        for path in self.all():
            try:
                found = Snapshot.read(path)
            except DamagedError as error:
                damaged.append(f"{path.name} is damaged ({error})")
                continue
            if damaged:
                told(f"{'; '.join(damaged)}; going on from {path.name}")
            return found
        if damaged:
            raise DamagedError(f"{self.folder}: no checkpoint can be read: {'; '.join(damaged)}")
        return None

    def set_aside(self, newest: Path) -> None:
        """Give those that are newer than `newest`, and so damaged, a name that is no checkpoint's."""
        for path in self.all():
            if _step(path) > _step(newest):
                aside = path.with_name(f"damaged-{path.name}")
                shutil.rmtree(aside, ignore_errors=True)
                path.rename(aside)

    def best(self) -> Path | None:
        """Return the checkpoint of the best evaluation, if one was kept."""
        with suppress(OSError, UnicodeDecodeError):
            name = (self.folder / self.BEST).read_text(encoding="utf-8").strip()
            if _NAME.fullmatch(name) and (self.folder / name).is_dir():
                return self.folder / name
        return None

    def _point(self, name: str, place: Path) -> None:
        replaced(self.folder / name, lambda path: path.write_text(f"{place.name}\n", encoding="utf-8"))

    def _prune(self) -> None:
        """Remove all that need not stay."""
        stays = {*self.all()[: self.keep.last], self.best()}
        for path in self.all():
            if path not in stays and not _lasting(path):
                self._away(path)

    def _away(self, path: Path) -> None:
        """Take the name first: what is half removed must not look like a checkpoint."""
        if path.exists():
            gone = self.folder / f".{uuid.uuid4().hex}.tmp"
            path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _lasting(path: Path) -> bool:
    try:
        return bool(verified(path, files=False).get("lasting"))
    except DamagedError:
        return False
