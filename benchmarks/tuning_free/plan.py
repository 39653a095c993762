"""Which runs are to be made, and how learning rates are chosen: by seeds and workloads that judge nothing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.tuning_free.methods import BY_NAME, REFERENCE, Method
from benchmarks.tuning_free.rows import Rows
from benchmarks.tuning_free.run import LOOKS, Task
from benchmarks.tuning_free.suite import CHOICE, WORKLOADS, Workload

__all__ = [
    "JUDGED",
    "TUNED",
    "TUNED_OTHERS",
    "capped",
    "diverged",
    "evaluations",
    "judged",
    "level",
    "rate_for_all",
    "tuned_rate",
    "tunings",
]

TUNED = (0, 1, 2, 3, 4)  # the seeds of the runs that the reference's learning rates are chosen with
TUNED_OTHERS = TUNED[:3]  # and those of others
JUDGED = (10, 11, 12, 13, 14)  # the seeds of the runs that are compared: of the reference and of what is under test
FEWER = JUDGED[:3]  # of all others
CAP = 1.5  # a run that ends above so many times the trivial level, or at no number, has diverged and counts as that


def diverged(metric: float, trivial: float) -> bool:
    """Whether a run ended nowhere."""
    return not metric <= CAP * trivial


def capped(metric: float, trivial: float) -> float:
    """What a run counts as."""
    return CAP * trivial if diverged(metric, trivial) else metric


def level(metrics: Mapping[int, float], trivial: float) -> float:
    """The mean over seeds: a geometric one would choose a rate that is lucky once and fails elsewhere."""
    return statistics.fmean(capped(x, trivial) for x in metrics.values())


def tunings(methods: Sequence[Method], workloads: Sequence[Workload]) -> Iterator[Task]:
    """The runs that learning rates are chosen with."""
    for workload in workloads:
        for method in methods:
            yield from (Task(workload.name, seed, method.name, lr) for lr in method.rates for seed in _tuning(method.name))


def _tuning(method: str) -> tuple[int, ...]:
    return TUNED if method == REFERENCE else TUNED_OTHERS


def evaluations(methods: Sequence[Method], workloads: Sequence[Workload], rows: Rows) -> Iterator[Task]:
    """The runs that are compared; ablations are run on workloads of choices only."""
    for workload in workloads:
        for method in methods:
            if method.kind != "ablation" or workload in CHOICE:
                for lr in _rates(method, workload, rows):
                    yield from (Task(workload.name, seed, method.name, lr, LOOKS) for seed in judged(method))


def judged(method: Method) -> tuple[int, ...]:
    """The seeds that a method is compared by."""
    return JUDGED if method.name == REFERENCE or method.kind == "preset" else FEWER


def _rates(method: Method, workload: Workload, rows: Rows) -> list[float | None]:
    if not method.rates:
        return [None]
    found = [tuned_rate(rows, workload.name, method.name)]
    if method.name == REFERENCE and (rate := rate_for_all(rows)) not in {None, *found}:
        found.append(rate)
    return [rate for rate in found if rate is not None]


def tuned_rate(rows: Rows, workload: str, method: str) -> float | None:
    """The learning rate with the lowest level on the workload, by the tuning seeds; None while runs are missing."""
    levels = _levels(rows, workload, method)
    return min(levels, key=lambda rate: levels[rate]) if levels else None


def rate_for_all(rows: Rows, method: str = REFERENCE) -> float | None:
    """The one learning rate with the lowest geometric mean over the workloads of choices, by the tuning seeds."""
    by_workload = [_levels(rows, workload.name, method) for workload in CHOICE]
    if not all(by_workload):
        return None
    return min(BY_NAME[method].rates, key=lambda rate: sum(math.log(levels[rate]) for levels in by_workload))


def _levels(rows: Rows, workload: str, method: str) -> dict[float, float]:
    trivial = WORKLOADS[workload].data().trivial
    found = {rate: rows.metrics(workload, method, rate, _tuning(method)) for rate in BY_NAME[method].rates}
    if any(metrics is None for metrics in found.values()):
        return {}
    return {rate: level(metrics, trivial) for rate, metrics in found.items() if metrics is not None}
