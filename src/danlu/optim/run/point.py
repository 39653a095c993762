"""Where a parameter is evaluated when its rule keeps an average."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.rule import Rule
from danlu.optim.run.views import compute_dtype, real

__all__ = ["at_average", "average_of"]


@contextmanager
def at_average(
    members: Iterable[tuple[Tensor, Mapping[str, Any], Rule]], buffers: Iterable[tuple[Tensor, Tensor]]
) -> Iterator[None]:
    """Inside the block every parameter and buffer is at its average; then it is back, bit for bit.

    Args:
        members: parameters, each with its state and its rule.
        buffers: buffers, each with where it is to be.
    """
    kept: list[tuple[Tensor, Tensor]] = []
    try:
        with torch.no_grad():
            found = ((p, average_of(p, state, rule)) for p, state, rule in members)
            for p, point in chain(found, buffers):
                if point is not None:
                    kept.append((p, p.detach().clone()))
                    p.copy_(point)
        yield
    finally:
        with torch.no_grad():
            for p, old in reversed(kept):
                p.copy_(old)


def average_of(p: Tensor, state: Mapping[str, Any], rule: Rule) -> Tensor | None:
    """The point at which `rule` evaluates a parameter, in its own shape and kind, or None when that is the parameter itself."""
    if rule.average is None or "step" not in state:
        return None
    like = real(p.detach()).to(compute_dtype(p))
    planes = {key: real(x) for key, x in state.items() if isinstance(x, Tensor)}
    c = Context(like, like, planes, rule.codecs, {}, p.dtype)
    point = rule.average.point(like, {slot: c.load(slot) for slot in rule.average.slots()})
    return torch.view_as_complex(point.contiguous()) if p.is_complex() else point
