"""Where the campaign's runs are, and what is looked at when they are over."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from safetensors.torch import load_file

from faults.process import Ended, attempt
from faults.trainee import Plan, made, train

__all__ = ["Bench", "Verdict", "bits", "complete", "notes", "small_disk", "started", "tree"]

Trainee = Callable[[Path, Plan, Path], object]
WEIGHTS = ("model.safetensors", "raw.safetensors")


@dataclass
class Verdict:
    """What a row came to: counts to show, and what was wrong."""

    row: str
    counts: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.wrong

    def expect(self, truth: object, wrong: str) -> None:
        if not truth:
            self.wrong.append(wrong)

    def line(self) -> str:
        counts = ", ".join(f"{name} {value}" for name, value in self.counts.items())
        wrong = (
            "" if self.passed else f"  WRONG: {'; '.join(self.wrong[:3])}" + f" (of {len(self.wrong)})" * (len(self.wrong) > 3)
        )
        return f"{'pass' if self.passed else 'FAIL'}  {self.row}: {counts}{wrong}"


@dataclass
class Bench:
    """Where the runs are, who is trained, and how many faults."""

    root: Path
    trainee: Trainee = train
    kills: int = 50
    kills_in_writes: int = 25
    ways: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        made(Plan())  # imports what an optimizer needs, once, for all the processes that are forked from this one
        self.random = random.Random(self.seed)
        self.number = 0
        self.bits: dict[Plan, list[object]] = {}

    def folder(self) -> Path:
        self.number += 1
        return self.root / f"run-{self.number}"

    def work(self, out: Path, plan: Plan) -> Callable[[], object]:
        return partial(self.trainee, out, plan, notes(out))

    def run(self, out: Path, plan: Plan, limit: float = 120.0) -> Ended:
        return attempt(self.work(out, plan), out.with_suffix(".log"), limit)

    def reference(self, plan: Plan) -> list[object]:
        """The bits of the run that nothing happens to."""
        if plan not in self.bits:
            out = self.folder()
            ended = self.run(out, plan)
            if ended.code:
                raise RuntimeError(f"the undisturbed run failed: {ended.errors}")
            self.bits[plan] = bits(out)
            shutil.rmtree(out)
        return self.bits[plan]


def notes(out: Path) -> Path:
    """Where a trainee writes the update that each attempt began with: beside its folder."""
    return out.with_suffix(".starts")


def bits(out: Path) -> list[object]:
    """Final weights, raw and averaged, and every number of metrics.jsonl but the seconds."""
    found: list[object] = []
    for name in WEIGHTS:
        found += [(key, x.numpy().tobytes()) for key, x in sorted(load_file(out / name).items())]
    if (out / "metrics.jsonl").exists():
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        rows = [line for line in lines if line["event"] in {"update", "evaluated"}]
        found += [repr(sorted((k, x) for k, x in row.items() if k != "seconds")) for row in rows]
    return found


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name != ".lock"}


def started(out: Path) -> list[int]:
    return [int(line) for line in notes(out).read_text().split()] if notes(out).exists() else []


def complete(out: Path) -> bool:
    return all((out / name).exists() for name in WEIGHTS)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
