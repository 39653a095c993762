"""One run: a workload, a seed, a method, a learning rate. Nothing in it is random but for the seed."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from time import process_time

from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from benchmarks.tuning_free.methods import BY_NAME, Method
from benchmarks.tuning_free.problem import Problem
from benchmarks.tuning_free.suite import WORKLOADS, Workload
from danlu.keyed import generator, seed_all
from danlu.optim.engine import Optimizer
from danlu.schedule import Scheduled

__all__ = ["LOOKS", "Result", "Task", "model_of", "train"]

LOOKS = 20  # how often an evaluation run is judged on its way
WARM = 10  # updates that are not timed: the first ones compile


@dataclass(frozen=True)
class Task:
    """What tells one run from another. `lr` None is the method's own; `looks` is how often the run is judged."""

    workload: str
    seed: int
    method: str
    lr: float | None = None
    looks: int = 1


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Args:
        task: the run.
        curve: the metric at equal distances on the way, the last one at the end; not a number after the run broke off.
        model_ms: milliseconds of processor time of forward and backward, a mean over updates.
        step_ms: the same of the optimizer's step.
    """

    task: Task
    curve: tuple[float, ...]
    model_ms: float
    step_ms: float

    @property
    def metric(self) -> float:
        """At the end."""
        return self.curve[-1]


def model_of(workload: Workload, seed: int) -> nn.Module:
    """The model as a seed starts it, for every optimizer."""
    seed_all("tuning-free", workload.name, seed)
    return workload.model()


def train(task: Task, *, compile: bool = True) -> Result:  # noqa: A002 - torch's word
    """Make the run."""
    workload, method = WORKLOADS[task.workload], BY_NAME[task.method]
    problem, model = workload.data(), model_of(workload, task.seed)
    optimizer = method.build(model, workload.updates, task.lr, compile=compile)
    schedule = Scheduled(optimizer, method.schedule, workload.updates)
    draw = generator("tuning-free", workload.name, task.seed, "batches")
    stops = {workload.updates * i // task.looks for i in range(1, task.looks + 1)}
    curve: list[float] = []
    seconds = [0.0, 0.0]
    for update in range(workload.updates):
        batch = problem.draw(draw)
        schedule.set(update)
        began = process_time()
        optimizer.zero_grad()
        loss = problem.loss(model, batch)
        loss.backward()
        between = process_time()
        _step(optimizer, loss.detach())
        if update >= WARM:
            seconds[0] += between - began
            seconds[1] += process_time() - between
        if not loss.isfinite():
            break
        if update + 1 in stops:
            curve.append(judge(problem, model, optimizer, method))
    model_ms, step_ms = (1e3 * s / (workload.updates - WARM) for s in seconds)
    return Result(task, (*curve, *[math.nan] * (task.looks - len(curve))), model_ms, step_ms)


def _step(optimizer: Optimizer, loss: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a step that is skipped for what it would read: the loss tells
        optimizer.step(loss=loss.item() if "loss" in optimizer.needs else None)


def judge(problem: Problem, model: nn.Module, optimizer: Optimizer, method: Method) -> float:
    """The metric at the point that the optimizer is meant to be judged at."""
    with optimizer.averaged():
        if method.refresh:
            update_bn([problem.seen], model)
        return problem.metric(model)
