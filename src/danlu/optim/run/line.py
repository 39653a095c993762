"""Tensors of an element-wise law laid end to end: one call of the law, or one launch of its kernel, whatever their shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import torch
from torch._utils import _flatten_dense_tensors

from danlu.optim.run.lane import Line, Ready
from danlu.optim.run.parties import parties

__all__ = ["advance_line", "lines"]

InLine: TypeAlias = tuple[Line, Ready]


def lines(ready: Iterable[InLine], limit: Callable[[torch.device], int]) -> Iterator[list[InLine]]:
    """Split tensors that may be laid end to end into lines of one law, one tick and one set of dtypes.

    Args:
        ready: how each goes in a line, and what steps.
        limit: bytes of the parameters and states in a line on a device; a longer tensor is a line of its own.

    Returns:
        Every tensor in one line, of one or more.
    """
    return parties(
        ready,
        kind=lambda item: (item[0].kind, id(item[1][2]), item[1][1].dtype),
        size=lambda item: item[0].bytes,
        limit=lambda item: limit(item[0].views[0].device),
    )


def advance_line(line: Sequence[InLine]) -> None:
    """Advance the tensors of a line and their states by one step."""
    law = line[0][0].law
    lane, _, numbers = line[0][1]
    ps, *columns = zip(*(own.views for own, _ in line), strict=True)
    lengths = [len(p) for p in ps]
    g = _flatten_dense_tensors([g for _, (_, g, _) in line])
    p, planes = torch.cat(ps), {key: torch.cat(column) for key, column in zip(lane.keys, columns, strict=True)}
    if lane.way is not None and g.dtype == p.dtype:  # the kernel reads g's memory as p's dtype
        lane.of_line(line[0][0], p, [*planes.values()])(g, numbers.packed(lane.dtype, p.device))
        new_p, new = p, planes
    else:
        new_p, new = law.step(p.to(lane.dtype), g.to(lane.dtype), planes, numbers.bound(lane.dtype), p.dtype)
        new = {key: x for key, x in new.items() if x is not planes[key]}
    for key, column in zip(lane.keys, columns, strict=True):
        if key in new:
            torch._foreach_copy_(column, new[key].split(lengths))
    torch._foreach_copy_(ps, new_p.split(lengths))
