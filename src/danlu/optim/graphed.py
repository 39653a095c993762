"""Whole iterations as CUDA graphs: forward, backward and step are recorded once and replayed with each step's own numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from danlu.optim.engine import Optimizer
from danlu.optim.gather import complete
from danlu.optim.members import refuse_rate
from danlu.optim.rule import Rule
from danlu.optim.run.fed import FedStep, guarded, host_reads
from danlu.optim.run.job import Job
from danlu.optim.run.views import compute_dtype, real

__all__ = ["RECORDERS", "Graphed", "Recorder", "graphed"]

T = TypeVar("T")


def graphed(iteration: Callable[[], T], *optimizers: Optimizer, warmup: int = 3) -> Graphed[T]:
    """Return a callable that does what `iteration` does, from the fifth call on by replaying a CUDA graph of it.

    A replay launches everything at once, which is what small models on a GPU wait for. Each call is one step, the first ones
    included: they run as they are, then once more on numbers in device memory, and are recorded. What the host makes for a
    step (rates after every schedule, bias corrections, seeds of rounding, in double precision) is laid into device memory
    before each replay, so that schedules, step counts and checkpoints go on as without a graph, to rounding: the law reads
    its numbers in the dtype that it computes in. Steps in which a law decomposes matrices (every tenth of `SOAP`) run as they
    are.

    Args:
        iteration: zeroes gradients, runs the model on tensors that keep their place (copy each batch into them), calls
            backward any number of times and ``step()`` of each optimizer once; the same operations in every call, reading no
            value on the host. Schedulers stay outside. What it returns is the same tensors after every replay, overwritten.
        *optimizers: those that step in it.
        warmup: calls before the last one that is not recorded, at least 1; ``DistributedDataParallel`` wants 11.

    Returns:
        The callable; it records anew by itself when a state is loaded or moved, or an option is written that changes more
        than numbers. Make another one when parameters are frozen, unfrozen or added.

    Raises:
        ValueError: for an optimizer whose step needs the host: one that needs the loss or a closure, shares numbers that are
            made from gradients (`Prodigy`, `DoG`), reads tensors on the host, or has step hooks; for parameters that are not
            all on one CUDA device.
        TypeError: for what is no optimizer of this library.

    When a sum over gradients (a clip's norm) is not finite, nothing but the step count changes, and `Graphed.skipped` counts
    it. Checked on a CPU, where recording was played through; not run on a GPU.
    """
    if warmup < 1:
        raise ValueError(f"graphed: warmup must be at least 1, got {warmup}")
    for optimizer in optimizers:
        _refuse(optimizer)
    devices = {p.device for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    kinds = {device.type for device in devices}
    if len(devices) != 1 or not kinds <= set(RECORDERS):
        found = ", ".join(sorted(map(str, devices))) or "nothing"
        raise ValueError(f"graphed: the parameters must all be on one CUDA device, found {found}; step without graphed there")
    return Graphed(iteration, optimizers, warmup, RECORDERS[kinds.pop()]())


class Graphed(Generic[T]):
    """What `graphed` returns: call it once per step.

    Args:
        iteration: the iteration.
        optimizers: those that step in it.
        warmup: calls that run as they are.
        recorder: what records.
    """

    def __init__(self, iteration: Callable[[], T], optimizers: Sequence[Optimizer], warmup: int, recorder: Recorder) -> None:
        self._iteration, self._optimizers, self._warmup, self._recorder = iteration, optimizers, warmup, recorder
        self._params = [p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
        self._begin()

    def _begin(self) -> None:
        self._left = self._warmup
        self._held: list[_Held] = []
        self._recordings: dict[Any, _Recording[T]] = {}

    @property
    def skipped(self) -> int:
        """How many steps were called off since recording began, because a sum was not finite; waits for the device."""
        return sum(held.skipped for held in self._held)

    def __call__(self) -> T:
        """Do one iteration.

        Returns:
            What `iteration` returns.

        Raises:
            RuntimeError: by an iteration that steps an optimizer twice, never or with a closure, or not the same tensors each
                time.
        """
        fit = [held.fits() for held in self._held]  # each looks at its groups as they are now
        if not all(fit):
            self._begin()
        if self._left:
            self._left -= 1
            return self._recorder.aside(self._iteration)
        dry = not self._held
        if dry:
            self._held = [_Held(optimizer) for optimizer in self._optimizers]
        kinds = tuple(held.feed() for held in self._held)
        out = self._unrecorded() if dry or None in kinds else self._recorded(kinds)
        for held in self._held:
            held.count()
        return out

    def _unrecorded(self) -> T:
        return self._recorder.aside(self._acting)

    def _recorded(self, kind: Any) -> T:
        if kind not in self._recordings:
            replay, out = self._recorder.record(self._acting)
            self._recordings[kind] = _Recording(replay, out, [(p, p.grad) for p in self._params])
        found = self._recordings[kind]
        found.replay()
        for p, grad in found.grads:  # another recording, or a step without one, has its own
            p.grad = grad
        return found.out

    def _acting(self) -> T:
        with ExitStack() as stack:
            for held in self._held:
                stack.enter_context(held.acting())
            return self._iteration()


class _Recording(NamedTuple, Generic[T]):
    """What repeats an iteration, what that returned, and the gradients that it writes."""

    replay: Callable[[], None]
    out: T
    grads: Sequence[tuple[Tensor, Tensor | None]]


class _Held:
    """An optimizer whose iteration is recorded, and its step, once an iteration has shown which tensors have a gradient.

    Args:
        optimizer: the optimizer.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._fed: FedStep | None = None
        self._today: Sequence[Job] = ()
        self._acted = False

    @property
    def skipped(self) -> int:
        """How many of its steps the device called off."""
        return 0 if self._fed is None or self._fed.skipped is None else int(self._fed.skipped)

    def fits(self) -> bool:
        """Whether what was recorded is still the step: the same memory, and rules that differ in numbers only."""
        if self._fed is None:
            return False
        before = [job.rule for job in self._today]
        self._today = [self._again(job) for job in self._fed.jobs]
        alike = all(_alike(job.rule, rule) for job, rule in zip(self._today, before, strict=True))
        return alike and self._fed.fits(self._today)

    def _again(self, job: Job) -> Job:
        """The same tensors, with their states and what their group says now."""
        owner = self._optimizer
        group, states = owner.param_groups[job.group], [owner.state.get(p, {}) for p in job.params]
        refuse_rate(group["lr"], f"graphed, group {job.group}")
        rule, lr, peak_lr = owner.plan(job.group).rule, float(group["lr"]), float(group["peak_lr"])
        return Job(job.params, job.grads, states, rule, job.group, lr, peak_lr)

    def feed(self) -> tuple[float, ...] | None:
        """Lay out the numbers of the next step; returns the kind of step that it is (`FedStep.kind`)."""
        if self._fed is None:
            return None
        self._fed.feed(self._today)
        return self._fed.kind

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Inside the block the optimizer's `step` does only what the device has to do."""
        self._optimizer.recorded, self._acted = self._act, False
        try:
            yield
        finally:
            self._optimizer.recorded = None
        if not self._acted:
            raise RuntimeError("graphed: the iteration does not call step() of an optimizer that was given; leave that one out")

    def _act(self, jobs: Sequence[Job], closure: object) -> None:
        if closure is not None:
            raise RuntimeError("graphed: step(closure) in the iteration; call the model and backward there, and step() without")
        if self._acted:
            raise RuntimeError("graphed: the iteration calls step() twice; an iteration is one step of each optimizer")
        self._acted = True
        if self._fed is None:
            self._begin(jobs)
        assert self._fed is not None
        self._fed.act(jobs)

    def _begin(self, jobs: Sequence[Job]) -> None:
        owner = self._optimizer
        for job in jobs:
            complete(job, owner.plan(job.group), owner.state)
        pairs = zip(jobs, guarded([job.rule for job in jobs]), strict=True)
        self._fed = FedStep(jobs, {job.group: owner.runner(rule, owner.param_groups[job.group], False) for job, rule in pairs})
        self._today = self._fed.jobs

    def count(self) -> None:
        """Keep the host in step, after a step was queued."""
        assert self._fed is not None
        self._fed.count()
        self._optimizer.follow_buffers(self._fed.go)


def _alike(rule: Rule, other: Rule) -> bool:
    """Whether two rules differ in numbers that the host hands over anew at each step."""
    return rule is other or (repr(rule.structure) == repr(other.structure) and rule.measures == other.measures)


def _refuse(optimizer: Optimizer) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"graphed: takes optimizers of danlu, got {type(optimizer).__name__}")
    hooks = optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks
    if hooks:
        raise ValueError("graphed: step hooks would run once, at the recording; remove them")
    for index, group in enumerate(optimizer.param_groups):
        rule = optimizer.rule(index)
        for need in sorted(rule.needs - {"grad"}):
            raise ValueError(f"graphed: group {index} needs the {need} on the host at each step; step without graphed")
        if rule.shared:
            names = ", ".join(rule.shared)
            raise ValueError(f"graphed: group {index} makes {names} from gradients on the host; step without graphed")
        for p in {(p.shape, p.dtype): p for p in group["params"]}.values():
            if (error := _host_reads(rule, p)) is not None:
                raise ValueError(f"graphed: the law of group {index} decides on the host ({error}); step without graphed")


def _host_reads(rule: Rule, p: Tensor) -> str | None:
    """What goes wrong where no value can be read, neither of tensors nor of numbers; None if nothing does."""
    dtype = compute_dtype(p)
    like = torch.empty_like(real(p.detach()), dtype=dtype, device="meta")
    numbers: list[Any] = [*torch.empty(len(rule.layout), dtype=dtype, device="meta").unbind()]
    for i in host_reads(rule, True) + host_reads(rule, False):
        numbers[i] = 0.0
    try:
        rule.structure.step(like, like, rule.init(like, dtype), rule.structure.bind(numbers), p.dtype)
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


class Recorder(Protocol):
    """What can record the operations of a device and repeat them."""

    def aside(self, call: Callable[[], T]) -> T:
        """Call without recording, where a recording will be made."""
        ...

    def record(self, call: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """Record what a call would do, without doing it; returns what repeats it, and what the call returned."""
        ...


class _Cuda:
    """CUDA graphs."""

    def aside(self, call: Callable[[], T]) -> T:
        """Call on a stream of its own, as autograd wants it before a recording."""
        stream, current = torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            out = call()
        current.wait_stream(stream)
        return out

    def record(self, call: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """Record one graph."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = call()
        return graph.replay, out


RECORDERS: dict[str, Callable[[], Recorder]] = {"cuda": _Cuda}
