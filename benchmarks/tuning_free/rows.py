"""Results as a table in a file: one row per run, none made twice."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.tuning_free.run import Result, Task

__all__ = ["Rows"]

COLUMNS = ("workload", "seed", "method", "lr", "metric", "model_ms", "step_ms", "curve")


@dataclass
class Rows:
    """The results in a CSV file.

    Args:
        path: of the file, which may not exist yet.
    """

    path: Path
    results: dict[Task, Result] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            with self.path.open(newline="") as file:
                for row in csv.DictReader(file):
                    self._take(_read(row))

    def _take(self, result: Result) -> None:
        self.results[_key(result.task)] = result

    def has(self, task: Task) -> bool:
        """Whether the run was made, with as many looks at least."""
        found = self.results.get(_key(task))
        return found is not None and found.task.looks >= task.looks

    def add(self, result: Result) -> None:
        """Keep a result, at once."""
        self._take(result)
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(COLUMNS)
            writer.writerow(_write(result))

    def drop(self, methods: Sequence[str]) -> None:
        """Forget what these methods gave."""
        self.results = {task: result for task, result in self.results.items() if task.method not in methods}
        self.tidy()

    def tidy(self) -> None:
        """Write the file anew, sorted, each run once."""
        ordered = sorted(self.results.values(), key=lambda r: (r.task.method, r.task.workload, r.task.lr or 0.0, r.task.seed))
        with self.path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *map(_write, ordered)])

    def metrics(self, workload: str, method: str, lr: float | None, seeds: Iterable[int]) -> dict[int, float] | None:
        """The final metric by seed, or None unless every seed is there."""
        found = {seed: self.results.get(Task(workload, seed, method, lr)) for seed in seeds}
        return {seed: r.metric for seed, r in found.items() if r is not None} if None not in found.values() else None


def _key(task: Task) -> Task:
    return Task(task.workload, task.seed, task.method, task.lr)


def _write(result: Result) -> list[object]:
    task = result.task
    curve = " ".join(f"{x:.4g}" for x in result.curve) if task.looks > 1 else ""
    lr = "" if task.lr is None else task.lr
    numbers = f"{result.metric:.6g}", f"{result.model_ms:.3f}", f"{result.step_ms:.3f}"
    return [task.workload, task.seed, task.method, lr, *numbers, curve]


def _read(row: dict[str, str]) -> Result:
    curve = (*map(float, row["curve"].split()[:-1]), float(row["metric"]))
    lr = float(row["lr"]) if row["lr"] else None
    task = Task(row["workload"], int(row["seed"]), row["method"], lr, len(curve))
    return Result(task, curve, float(row["model_ms"]), float(row["step_ms"]))
