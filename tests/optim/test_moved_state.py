"""State that moves from slot to slot unchanged, and the old parameter kept: the writes must not overtake the reads."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from danlu.optim import Optimizer, Rule, direction
from danlu.optim.context import Context
from danlu.optim.piece import GradPiece
from danlu.optim.values import Scalars, Start


@dataclass(frozen=True)
class Shift(GradPiece):
    """g ← g: keeps the last three gradients, and the last parameter, in slots named against the order of writing."""

    cloned: bool = False

    def slots(self) -> Mapping[str, Start]:
        return {"a": 0.0, "b": 0.0, "c": 0.0, "p_old": 0.0}

    def __call__(self, g: Tensor, c: Context, h: Scalars) -> Tensor:
        newest = {"a": g, "b": c.load("a"), "c": c.load("b"), "p_old": c.p}
        for slot, x in newest.items():
            c.save(slot, x.clone() if self.cloned else x)
        return g


@pytest.mark.parametrize("cloned", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_moved_values_arrive(cloned, compiled, dtype):
    p = torch.nn.Parameter(torch.randn(50, dtype=dtype))
    optimizer = Optimizer([p], Rule(direction.Plain(), grad=(Shift(cloned),)), lr=0.1, compile=compiled)
    grads, olds = [torch.zeros(50, dtype=dtype)] * 2, []
    for _ in range(4):
        olds.append(p.detach().clone())
        grads.append(torch.randn(50, dtype=dtype))
        p.grad = grads[-1].clone()
        optimizer.step()
        state = optimizer.state[p]
        assert [torch.equal(state[key], grads[-i]) for i, key in enumerate("abc", start=1)] == [True] * 3
        assert torch.equal(state["p_old"], olds[-1])
