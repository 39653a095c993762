"""Several processes that train one model: what they tell each other, and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Protocol, TypeVar, cast, final

import torch
import torch.distributed as dist
from torch import Tensor, nn

from danlu.loss import LossSum
from danlu.train.batch import device_of
from danlu.train.unwrapped import uncompiled

__all__ = ["RankError", "Ranks"]

T = TypeVar("T")


class RankError(RuntimeError):
    """Another rank failed; its own message says why. The run is over: a wrapper may be in the midst of synchronising."""


class _Sharded(Protocol):
    def set_requires_gradient_sync(self, requires_gradient_sync: bool) -> None: ...


@final
class Ranks:
    """The processes behind a model: those of its DistributedDataParallel or `fully_shard` wrapper, else this one alone.

    An evaluation has one exchange, a sum over all ranks of the loss's totals and counts, the wish to stop, whether
    somebody failed, and the first rank's clock. It takes place before the only backward pass that synchronises gradients,
    so that a rank that raised before is noticed by all others there, instead of being waited for. Both wrappers average
    gradients over ranks; `Objective` multiplies by their number.

    Args:
        model: as it is trained.

    Attributes:
        size: how many there are.
        rank: which of them this one is, from 0.
        inner: the model for evaluation, where DistributedDataParallel has nothing to do.
    """

    def __init__(self, model: nn.Module) -> None:
        self.inner, self.size, self.rank, self._model, self._group = model, 1, 0, model, None
        self._sharded: _Sharded | None = None
        self._names: list[str] | None = None
        self._time: float | None = None
        if not (dist.is_available() and dist.is_initialized()):
            return
        from torch.distributed.fsdp import FSDPModule  # half a second that only several processes pay

        wrapped = uncompiled(model)
        if isinstance(wrapped, nn.parallel.DistributedDataParallel):
            self._model, self._group, self.inner = wrapped, wrapped.process_group, wrapped.module
        elif isinstance(wrapped, FSDPModule):
            self._sharded, self._group = wrapped, dist.group.WORLD
        else:
            return
        self.size, self.rank = dist.get_world_size(self._group), dist.get_rank(self._group)
        device = device_of(model)
        self._device = device if device.type == "cuda" else torch.device("cpu")

    @property
    def sharded(self) -> bool:
        """Whether each rank has a part of the weights."""
        return self._sharded is not None

    def synced(self, last: bool) -> AbstractContextManager[None]:
        """Return the block for one micro-batch's forward and backward; only the last one's gradients are synchronised."""
        if self._sharded is not None:
            self._sharded.set_requires_gradient_sync(last)
        if last or not isinstance(self._model, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return self._model.no_sync()

    def passes(self, length: int) -> int:
        """Return how many forward passes a window of `length` takes: with shards as many as on the busiest rank.

        A sharded model gathers its weights in every pass, all ranks together. A rank that has run out of micro-batches
        repeats its last one with weight 0.
        """
        if self._sharded is None:
            return length
        longest = torch.tensor(length, device=self._device)
        dist.all_reduce(longest, dist.ReduceOp.MAX, group=self._group)
        return int(longest)

    def exchange(self, sums: LossSum, stop: bool) -> tuple[LossSum, bool]:
        """Return the sums over all ranks, as float64 on the host, and whether any of them wants to stop.

        Which measures and parts there are is agreed on once, at the first exchange.

        Args:
            sums: this rank's.
            stop: whether it wants to stop.

        Returns:
            Both, of all ranks; alone, what was given, untouched.

        Raises:
            RankError: when another rank failed.
            ValueError: for a measure or part that no rank had in the first window.
        """
        if self.size == 1:
            return sums, stop
        mine = {"total": (sums.total, sums.count), **_keyed("measure", sums.measures), **_keyed("part", sums.parts)}
        names = self._agreed(list(mine))
        if unknown := mine.keys() - set(names):
            self._summed([], names, stop, failed=True)
            raise ValueError(f"{min(unknown)} was in no rank's first window; return it in every one, with count 0 if need be")
        flat = [float(x) for name in names for x in mine.get(name, (0.0, 0.0))]
        stopping, failures, numbers = self._summed(flat, names, stop, failed=False)
        if failures:
            raise RankError(f"{failures:.0f} of {self.size} ranks failed in this window; their own messages say why")
        pairs = dict(zip(names, zip(numbers[::2], numbers[1::2], strict=True), strict=True))
        total, count = pairs.pop("total")
        measures = {name.removeprefix("measure "): pair for name, pair in pairs.items() if name.startswith("measure ")}
        parts = {
            name.removeprefix("part "): (_number(pair[0]), pair[1]) for name, pair in pairs.items() if name.startswith("part ")
        }
        return LossSum(_number(total), count, measures, parts), stopping > 0

    def fail(self) -> None:
        """Take part in the exchange that the other ranks are in or come to, to say that this one has failed."""
        if self.size > 1:
            with suppress(RuntimeError):  # they may be gone, too
                self._summed([], self._agreed([]), False, failed=True)

    def gather(self, mine: T) -> list[T]:
        """Return what every rank has, in the order of ranks."""
        if self.size == 1:
            return [mine]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, mine, group=self._group)
        return cast("list[T]", found)

    def any(self, mine: bool) -> bool:
        """Whether it is so on any rank."""
        if self.size == 1:
            return mine
        found = torch.tensor(float(mine), device=self._device)
        dist.all_reduce(found, dist.ReduceOp.MAX, group=self._group)
        return bool(found)

    def together(self, work: Callable[[], T]) -> T:
        """Do something on every rank, and go on only when all have done it.

        Args:
            work: what to do, without talking to the others.

        Returns:
            What came of it here.

        Raises:
            RankError: when another rank failed, with its message; the rank itself raises its own error.
        """
        if self.size == 1:
            return work()
        try:
            done = work()
        except Exception as error:
            self.gather(f"{type(error).__name__}: {error}")
            raise
        for rank, error in enumerate(self.gather("")):
            if error:
                raise RankError(f"rank {rank} failed: {error}")
        return done

    def first(self, work: Callable[[], T]) -> T | None:
        """Let the first rank do something on behalf of all; what it raises ends all, see `together`.

        Returns:
            What came of it, on the first rank; elsewhere None.
        """
        return self.together(lambda: work() if self.rank == 0 else None)

    def time(self) -> float:
        """Return the first rank's clock, in seconds from anywhere: as it was at the exchange since the last call, or now."""
        if self.size == 1:
            return time.perf_counter()
        heard, self._time = self._time, None
        return self.gather(time.perf_counter())[0] if heard is None else heard

    def share_buffers(self) -> None:
        """Give every rank the first one's buffers: running statistics, which each rank moves by its own batches."""
        if self.size > 1 and not self.sharded:
            for buffer in self._model.buffers():
                dist.broadcast(buffer.data, group=self._group, group_src=0)

    def _agreed(self, mine: Sequence[str]) -> list[str]:
        if self._names is None:
            self._names = sorted({"total"}.union(*self.gather(list(mine))))
        return self._names

    def _summed(
        self, flat: Sequence[float], names: Sequence[str], stop: bool, *, failed: bool
    ) -> tuple[float, float, list[float]]:
        body = flat or [0.0] * (2 * len(names))
        now = time.perf_counter() if self.rank == 0 else 0.0
        numbers = torch.tensor([float(stop), float(failed), now, *body], dtype=torch.float64, device=self._device)
        dist.all_reduce(numbers, group=self._group)
        stopping, failures, self._time, *rest = numbers.tolist()
        return stopping, failures, rest


def _keyed(kind: str, pairs: Any) -> dict[str, tuple[Any, Any]]:
    return {f"{kind} {name}": pair for name, pair in pairs.items()}


def _number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
