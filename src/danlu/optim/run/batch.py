"""Tensors advanced together, in stacks or end to end: one call of the law where a call costs more than its arithmetic."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.optim.run.eager import begin
from danlu.optim.run.lane import Lane, Line, Ready, advance_jointly
from danlu.optim.run.line import advance_line, lines
from danlu.optim.run.parties import parties
from danlu.optim.run.views import compute_dtype, real

__all__ = ["Limits", "batched", "buckets", "limits_for"]


@dataclass(frozen=True)
class Limits:
    """What is advanced together, by size alone.

    Args:
        elements: of the largest tensor in a stack.
        bytes: of a stack, which holds parameters, gradients and state; at least two tensors make one.
        line_elements: of the largest tensor in a line.
        line_bytes: of a line, which holds parameters and state.
        kernel_line_elements: of the largest tensor in a line that a kernel takes; it gains launches, and costs a copy.
        joint_elements: of the largest tensor whose direction is taken with those of others, within the bytes of a stack.
    """

    elements: int
    bytes: int
    line_elements: int = 0
    line_bytes: int = 0
    kernel_line_elements: int = 0
    joint_elements: int = 0


# Measured on two cores (docs/benchmarks.md): from 256 x 256 on a stack gains nothing, and 4 MiB gain what 16 do; a line should
# stay so short that what an operation returns is still in the cache for the next one.
_CPU = Limits(1 << 15, 4 << 20, 1 << 14, 1 << 20, 0, 3 << 14)
# Not measured. Below 2048 x 2048 a matrix product is too short to fill an accelerator, or to hide the launch of the next one; a
# kernel over 65,536 elements (2 MB for AdamW, about a microsecond) is shorter than its launch.
_ACCELERATOR = Limits(1 << 22, 256 << 20, 1 << 22, 256 << 20, 1 << 16, 1 << 22)


def limits_for(device: torch.device) -> Limits:
    """What is advanced together on a device."""
    return _CPU if device.type == "cpu" else _ACCELERATOR


def batched(ready: Iterable[Ready]) -> Iterator[Ready]:
    """Advance together what can be, and yield what is left.

    A stack holds tensors that share rule, numbers (so also group and step count), shape and dtypes; the law is mapped over it.
    Where the law looks at single elements the shapes need not be equal: these tensors are laid end to end, for the law, or for
    its kernel where a launch costs more than to lay them so. Directions that do better than one after the other are taken
    jointly. Which ones go together is seen from this step's tensors alone, never from earlier steps, so a resumed run does the
    same. Results agree with those of single tensors to rounding.

    Args:
        ready: every tensor that steps.

    Yields:
        The tensors that are to be advanced one by one.
    """
    stackable: list[Ready] = []
    in_line: list[tuple[Line, Ready]] = []
    joint: list[Ready] = []
    for item in ready:
        lane = item[0]
        if lane.joins:
            joint.append(item)
        elif lane.stackable:
            stackable.append(item)
        elif 0 < lane.p.numel() <= _line_limit(lane) and lane.line is not None:
            in_line.append((lane.line, item))
        else:
            yield item
    for line in lines(in_line, lambda device: limits_for(device).line_bytes):
        if len(line) == 1:
            yield line[0][1]
        else:
            advance_line(line)
    for members in parties(joint, _kind, _size, lambda item: limits_for(item[0].p.device).bytes):
        advance_jointly(members)
    for bucket in buckets(stackable):
        if len(bucket) == 1 or not _stacked(bucket):
            yield from bucket


def _line_limit(lane: Lane) -> int:
    limits = limits_for(lane.p.device)
    return limits.line_elements if lane.way is None else limits.kernel_line_elements


def _kind(item: Ready) -> tuple[object, ...]:
    lane, _, numbers = item
    alone = id(lane) if lane.p.numel() > limits_for(lane.p.device).joint_elements else None
    return id(numbers), lane.dtype, lane.p.device, alone


def _size(item: Ready) -> int:
    lane, g, _ = item
    return lane.p.nbytes + g.nbytes + sum(plane.nbytes for plane in lane.stored.values())


def buckets(ready: Iterable[Ready]) -> Iterator[list[Ready]]:
    """Split what could be stacked into stacks of equal tensors within the limits of their device, and single tensors."""
    alike: dict[tuple[object, ...], list[Ready]] = {}
    for lane, g, numbers in ready:
        p = lane.p
        if 0 < p.numel() <= limits_for(p.device).elements:
            kind = id(numbers), p.shape, p.dtype, p.device, g.dtype, lane.tail is None
            alike.setdefault(kind, []).append((lane, g, numbers))
        else:
            yield [(lane, g, numbers)]
    for found in alike.values():
        lane, g, _ = found[0]
        count = math.ceil(len(found) / max(2, limits_for(lane.p.device).bytes // _size(found[0])))
        yield from (found[i::count] for i in range(count))


def _stacked(bucket: Sequence[Ready]) -> bool:
    """Advance a stack; False when the law cannot be mapped, in which case nothing was written."""
    first, _, numbers = bucket[0]
    dtype = compute_dtype(first.p)
    h = numbers.bound(dtype)
    done = True

    def law(p: Tensor, g: Tensor, planes: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal done
        if first.tail is None:
            x, new = first.structure.step(p.to(dtype), g.to(dtype), planes, h, p.dtype)
        else:
            x, new, done = begin(first.structure, p, g, planes, h)
        return x, {key: value for key, value in new.items() if value is not planes[key]}

    ps, gs = [real(lane.p) for lane, _, _ in bucket], [real(g) for _, g, _ in bucket]
    states = [lane.stored for lane, _, _ in bucket]
    planes = {key: [state[key] for state in states] for key in states[0]}
    try:
        xs, new = torch.func.vmap(law)(torch.stack(ps), torch.stack(gs), {key: torch.stack(x) for key, x in planes.items()})
    except torch.linalg.LinAlgError:  # the numbers are at fault: it would fail for one tensor too
        raise
    except RuntimeError as error:  # a piece that reads values on the host, or an operation that torch does not map
        first.step_alone()
        warnings.warn(f"equal shapes are stepped one by one, because their rule does not map ({error})", stacklevel=2)
        return False
    for key, x in new.items():
        torch._foreach_copy_(planes[key], x.unbind())
    if done:
        torch._foreach_copy_(ps, xs.unbind())
    else:
        for (lane, _, own), u in zip(bucket, xs.unbind(), strict=True):
            lane.finish(u, own)
    return True
