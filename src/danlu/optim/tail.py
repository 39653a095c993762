"""What of a rule comes after its direction, as a rule of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from danlu.optim.context import Context
from danlu.optim.direction.plain import Plain
from danlu.optim.piece import Decay

if TYPE_CHECKING:
    from danlu.optim.rule import Rule

__all__ = ["tail_of"]


def tail_of(rule: Rule) -> Rule | None:
    """Return the steps of `rule` that follow the direction, as a rule that takes the direction for its gradient.

    A kernel can take these where it cannot take what makes the direction, such as a product of matrices. The rates stay
    behind: the tail is given the lr that they made. It is for parameters that are as wide as what is computed: no piece rounds.

    Returns:
        The tail; None where it is no rule of its own: a piece there looks back at the gradient, a moment or the magnitude,
        measures all tensors, or adds to the gradient; or one before it may scale lr by a number that the host does not know.
    """
    if any(modify.scales_lr for modify in rule.modify) or (rule.decay and type(rule.decay).penalty is not Decay.penalty):
        return None
    try:
        found = rule.but(direction=Plain(), moments={}, grad=(), modify=(), rate=(), around=None)
    except ValueError:  # a piece reads a moment that is not there
        return None
    return None if found.measures or _looks_back(found) else found


def _looks_back(tail: Rule) -> bool:
    """Whether a piece of the tail reads more than the direction, the parameter and its own state: seen by letting them act."""
    p = torch.empty(2, 3, device="meta")
    numbers = tail.structure.bind(torch.empty(len(tail.layout), device="meta").unbind())
    c = Context(p, p, tail.init(p, p.dtype), tail.codecs, numbers, p.dtype)
    del c.g, c.given, c.readings
    try:
        tail.structure.finish(c, numbers)
    except AttributeError as error:
        if error.obj is not c:
            raise
        return True
    return False
