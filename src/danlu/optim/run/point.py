"""Where a parameter is evaluated when its rule keeps an average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.rule import Rule
from danlu.optim.run.views import compute_dtype, real

__all__ = ["average_of"]


def average_of(p: Tensor, state: Mapping[str, Any], rule: Rule) -> Tensor | None:
    """The point at which `rule` evaluates a parameter, in its own shape and kind, or None when that is the parameter itself."""
    if rule.average is None or "step" not in state:
        return None
    like = real(p.detach()).to(compute_dtype(p))
    planes = {key: real(x) for key, x in state.items() if isinstance(x, Tensor)}
    c = Context(like, like, planes, rule.codecs, {}, p.dtype)
    point = rule.average.point(like, {slot: c.load(slot) for slot in rule.average.slots()})
    return torch.view_as_complex(point.contiguous()) if p.is_complex() else point
