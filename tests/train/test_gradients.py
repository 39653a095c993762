import math

import numpy as np
import pytest
import torch
from torch import nn

from danlu.train.gradients import nonfinite_names, norms, on_host, optimized, scale


def total_norm(gradients):
    return math.hypot(*on_host(norms(gradients)))


def test_total_norm_is_that_of_one_long_vector():
    draw = torch.Generator().manual_seed(0)
    gradients = [torch.randn(n, generator=draw, dtype=torch.float64) for n in (1, 30, 7)] + [torch.tensor(0.5).double()]
    wanted = np.linalg.norm(np.concatenate([g.numpy().ravel() for g in gradients]))
    assert total_norm(gradients) == pytest.approx(wanted, rel=1e-14)


def test_half_precision_neither_overflows_nor_loses_digits():
    big = torch.full((100,), 60000.0, dtype=torch.float16)  # the norm is ten times float16's largest
    many = torch.full((10_000,), 0.1, dtype=torch.bfloat16)
    wanted = math.sqrt(100 * 60000.0**2 + 10_000 * float(many[0]) ** 2)
    assert total_norm([big, many]) == pytest.approx(wanted, rel=1e-6)
    assert total_norm([many]) == pytest.approx(100 * float(many[0]), rel=2e-5)  # in bfloat16 it is off by 1e-3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_bad_number_shows_in_the_norm(value):
    gradients = [torch.ones(5), torch.tensor([1.0, value, 2.0])]
    assert not math.isfinite(total_norm(gradients))


def test_scale_is_in_place_over_dtypes():
    gradients = [torch.ones(3), torch.ones(2, dtype=torch.float64), torch.ones((), dtype=torch.bfloat16)]
    scale(gradients, 0.25)
    assert [g.flatten()[0].item() for g in gradients] == [0.25] * 3


def test_nonfinite_names_follow_the_optimizer_and_number_what_has_no_name():
    model, stray = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([{"params": [stray]}, {"params": list(model.parameters())}], lr=0.1)
    assert len(optimized(optimizer)) == 5
    for p in (*model.parameters(), stray):
        p.grad = torch.zeros_like(p)
    model[1].weight.grad[0, 1] = math.nan
    model[0].bias.grad[1] = math.inf
    stray.grad[0] = math.nan
    model[0].weight.grad = None
    assert list(nonfinite_names(model, optimizer)) == ["the optimizer's parameter 0", "0.bias", "1.weight"]
