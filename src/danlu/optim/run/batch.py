"""Tensors of equal shape advanced together: one call of the law on a stack, where a call costs more than its arithmetic."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from danlu.optim.run.lane import Lane
from danlu.optim.run.numbers import Numbers
from danlu.optim.run.views import compute_dtype, real

__all__ = ["Limits", "Ready", "batched", "buckets", "limits_for"]

Ready: TypeAlias = tuple[Lane, Tensor, Numbers]  # a tensor with its state, its gradient, the numbers of its tick


@dataclass(frozen=True)
class Limits:
    """What is stacked, by size alone.

    Args:
        elements: of the largest tensor that is stacked.
        bytes: of a stack, which holds parameters, gradients and state; at least two tensors make one.
    """

    elements: int
    bytes: int


# Measured on two cores (docs/benchmarks.md): from 256 x 256 on a stack gains nothing, and 4 MiB gain what 16 do.
_CPU = Limits(1 << 15, 4 << 20)
# Not measured. Below 2048 x 2048 a matrix product is too short to fill an accelerator, or to hide the launch of the next one.
_ACCELERATOR = Limits(1 << 22, 256 << 20)


def limits_for(device: torch.device) -> Limits:
    """What is stacked on a device."""
    return _CPU if device.type == "cpu" else _ACCELERATOR


def batched(ready: Iterable[Ready]) -> Iterator[Ready]:
    """Advance in stacks what can be, and yield what is left.

    A stack holds tensors that share rule, numbers (so also group and step count), shape and dtypes. Which ones do is seen from
    this step's tensors alone, never from earlier steps, so a resumed run forms the same stacks. The law is mapped over the
    stack; results agree with those of single tensors to rounding.

    Args:
        ready: every tensor that steps.

    Yields:
        The tensors that are to be advanced one by one.
    """
    stackable: list[Ready] = []
    for item in ready:
        if item[0].stackable:
            stackable.append(item)
        else:
            yield item
    for bucket in buckets(stackable):
        if len(bucket) == 1 or not _stacked(bucket):
            yield from bucket


def buckets(ready: Iterable[Ready]) -> Iterator[list[Ready]]:
    """Split what could be stacked into stacks of equal tensors within the limits of their device, and single tensors."""
    alike: dict[tuple[object, ...], list[Ready]] = {}
    for lane, g, numbers in ready:
        p = lane.p
        if 0 < p.numel() <= limits_for(p.device).elements:
            alike.setdefault((id(numbers), p.shape, p.dtype, p.device, g.dtype), []).append((lane, g, numbers))
        else:
            yield [(lane, g, numbers)]
    for found in alike.values():
        lane, g, _ = found[0]
        each = lane.p.nbytes + g.nbytes + sum(plane.nbytes for plane in lane.stored.values())
        count = math.ceil(len(found) / max(2, limits_for(lane.p.device).bytes // each))
        yield from (found[i::count] for i in range(count))


def _stacked(bucket: Sequence[Ready]) -> bool:
    """Advance a stack; False when the law cannot be mapped, in which case nothing was written."""
    first, _, numbers = bucket[0]
    kept, dtype = first.p.dtype, compute_dtype(first.p)
    h = numbers.bound(dtype)

    def law(p: Tensor, g: Tensor, planes: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        new_p, new = first.structure.step(p.to(dtype), g.to(dtype), planes, h, kept)
        return new_p, {key: x for key, x in new.items() if x is not planes[key]}

    ps, gs = [real(lane.p) for lane, _, _ in bucket], [real(g) for _, g, _ in bucket]
    states = [lane.stored for lane, _, _ in bucket]
    planes = {key: [state[key] for state in states] for key in states[0]}
    try:
        new_p, new = torch.func.vmap(law)(torch.stack(ps), torch.stack(gs), {key: torch.stack(x) for key, x in planes.items()})
    except torch.linalg.LinAlgError:  # the numbers are at fault: it would fail for one tensor too
        raise
    except RuntimeError as error:  # a piece that reads values on the host, or an operation that torch does not map
        first.step_alone()
        warnings.warn(f"equal shapes are stepped one by one, because their rule does not map ({error})", stacklevel=2)
        return False
    for key, x in new.items():
        torch._foreach_copy_(planes[key], x.unbind())
    torch._foreach_copy_(ps, new_p.unbind())
    return True
