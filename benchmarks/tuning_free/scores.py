"""The arithmetic of the comparison: ratios to tuned AdamW by workload, and what becomes of them over workloads."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.tuning_free.plan import capped, diverged
from benchmarks.tuning_free.run import Result

__all__ = ["CLOSE", "Ratio", "Summary", "compare", "summarise"]

CLOSE = 1.02  # as good as the reference


@dataclass(frozen=True)
class Ratio:
    """A method against the reference on one workload; entries are by seed, for the same weights and batches.

    Args:
        logs: log(metric/metric of the reference), at the end.
        steps: the share of the budget after which the metric first was the reference's final one; inf if it never was.
        diverged: how many runs ended nowhere.
        model_ms: milliseconds of forward and backward, a mean.
        step_ms: milliseconds of the optimizer.
    """

    logs: tuple[float, ...]
    steps: tuple[float, ...]
    diverged: int
    model_ms: float
    step_ms: float

    @property
    def value(self) -> float:
        """The geometric mean over seeds."""
        return math.exp(statistics.fmean(self.logs))

    @property
    def error(self) -> float:
        """The standard error of log(value)."""
        return _error(self.logs)

    @property
    def close(self) -> bool:
        """Whether the method is as good as the reference: at most 2 % worse, or no more than one standard error."""
        return math.log(self.value) <= max(math.log(CLOSE), self.error)


def compare(results: Sequence[Result], reference: Sequence[Result], trivial: float) -> Ratio:
    """Hold the runs of a method against those of the reference, both in the order of their seeds."""
    targets = [capped(r.metric, trivial) for r in reference]
    return Ratio(
        tuple(math.log(capped(r.metric, trivial) / target) for r, target in zip(results, targets, strict=True)),
        tuple(_first(r.curve, target) for r, target in zip(results, targets, strict=True)),
        sum(diverged(r.metric, trivial) for r in results),
        statistics.fmean(r.model_ms for r in results),
        statistics.fmean(r.step_ms for r in results),
    )


def _first(curve: Sequence[float], target: float) -> float:
    return next((i / len(curve) for i, x in enumerate(curve, start=1) if x <= target), math.inf)


@dataclass(frozen=True)
class Summary:
    """A method over workloads.

    Args:
        value: the geometric mean of the ratios.
        error: its standard error over seeds, relative.
        close: the share of workloads where the method is as good.
        worst: the largest ratio and its workload.
        diverged: runs that ended nowhere.
        reached: the share of runs that reached the reference's final metric of their seed.
        steps: the median share of the budget that it took them; inf if fewer than half did.
        step_to_model: the optimizer's time over that of forward and backward, the median over workloads.
        count: of workloads.
    """

    value: float
    error: float
    close: float
    worst: tuple[float, str]
    diverged: int
    reached: float
    steps: float
    step_to_model: float
    count: int


def summarise(ratios: Mapping[str, Ratio]) -> Summary:
    """Put the ratios of a method on some workloads together; at least one."""
    means = [statistics.fmean(logs) for logs in zip(*(ratio.logs for ratio in ratios.values()), strict=True)]
    steps = [x for ratio in ratios.values() for x in ratio.steps]
    return Summary(
        math.exp(statistics.fmean(means)),
        _error(means),
        statistics.fmean(ratio.close for ratio in ratios.values()),
        max((ratio.value, name) for name, ratio in ratios.items()),
        sum(ratio.diverged for ratio in ratios.values()),
        statistics.fmean(math.isfinite(x) for x in steps),
        statistics.median_high(steps),
        statistics.median(ratio.step_ms / ratio.model_ms for ratio in ratios.values()),
        len(ratios),
    )


def _error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
