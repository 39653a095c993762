"""A law that reads a number from self instead of h is told so, whatever it does with it: nothing is computed with it."""

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import pytest
import torch
from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.direction import Plain
from danlu.optim.engine import Optimizer
from danlu.optim.piece import Modify
from danlu.optim.rule import Rule
from danlu.optim.run.kernel import compiler_for
from danlu.ranges import NonNegative, Positive, Structural

USES: dict[str, Callable[["Reading", Tensor], object]] = {
    "branch": lambda self, u: u if self.rate else -u,
    "compare": lambda self, u: u if self.rate > 0 else -u,
    "is zero": lambda self, u: u if self.rate == 0 else -u,
    "add": lambda self, u: u + self.rate,
    "multiply": lambda self, u: self.rate * u,
    "divide": lambda self, u: u / self.rate,
    "power": lambda self, u: u**self.rate,
    "root": lambda self, u: u * math.sqrt(self.rate),
    "negative": lambda self, u: u * -self.rate,
    "one of a pair": lambda self, u: u * (1 - self.betas[1]),
}


@dataclass(frozen=True)
class Reading(Modify):
    rate: NonNegative = 0.5
    betas: tuple[Positive, Positive] = (0.5, 0.5)
    use: Annotated[str, Structural()] = "branch"

    scope: ClassVar = "element"

    def __call__(self, u, c: Context, h):
        return USES[self.use](self, u)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "compile", [False, pytest.param(True, marks=pytest.mark.skipif(not compiler_for("cpu"), reason="no C++ compiler"))]
)
def test_a_law_that_reads_a_number_from_self_is_told(use, compile):
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = Optimizer([p], Rule(Plain(), modify=(Reading(use=use),)), lr=0.1, compile=compile)
    p.grad = torch.ones(3)
    name = "betas" if use == "one of a pair" else "rate"
    with pytest.raises(
        TypeError, match=rf"Reading\.{name} is read from self in a law.*read it from h, or annotate it Structural"
    ):
        optimizer.step()
    assert torch.equal(p.detach(), torch.ones(3))


def test_structures_of_other_numbers_are_one():
    one, other = Reading(0.1).structure(), Reading(0.2, (0.3, 0.4)).structure()
    assert repr(one) == repr(other)
    assert one == other
    assert one == pickle.loads(pickle.dumps(other))
    assert one != Reading(use="add").structure()
