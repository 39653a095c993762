"""Operations that kernels spell out are those of the library, to rounding, wherever numbers are finite."""

import math

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from danlu.optim.run.arithmetic import SPELLED_OUT

ATAN2 = torch.ops.aten.atan2.default


def angle(y, x):
    return SPELLED_OUT[ATAN2](y, x)


def numbers(seed):
    """Sizes from 1e-30 to 1e30 and of either sign, and pairs of about one size."""
    draw = torch.Generator().manual_seed(seed)
    wide = 10.0 ** (60 * torch.rand(1 << 16, generator=draw) - 30)
    near = torch.rand(1 << 16, generator=draw)
    sign = torch.randint(0, 2, (1 << 17,), generator=draw) * 2.0 - 1.0
    return torch.cat([wide, near]) * sign


def test_angles_are_the_librarys_to_three_roundings():
    y, x = numbers(0), numbers(1)
    want = torch.atan2(y.double(), x.double())
    got = angle(y, x).double()
    assert ((got - want).abs() <= 3 * 2.0**-23 * want.abs() + 1e-37).all()
    assert torch.equal(got.signbit(), want.signbit())


def test_axes_and_diagonals():
    y = torch.tensor([0.0, 0.0, 1.0, -1.0, 0.0, 2.0, -2.0, 2.0, -2.0, 1e-18, 1.0])
    x = torch.tensor([0.0, 1.0, 0.0, 0.0, -1.0, 2.0, 2.0, -2.0, -2.0, 0.0, math.inf])
    torch.testing.assert_close(angle(y, x), torch.atan2(y, x), rtol=2e-7, atol=0.0)
    assert angle(torch.tensor([-0.0]), torch.ones(1)).signbit().all()


def test_what_is_not_a_number_stays_so():
    pairs = torch.tensor([[math.nan, 1.0], [1.0, math.nan], [math.nan, math.nan]])
    assert angle(pairs[:, 0], pairs[:, 1]).isnan().all()


@pytest.mark.parametrize(("dtype", "spelled_out"), [(torch.float32, True), (torch.float64, False)])
def test_only_float32_is_spelled_out(dtype, spelled_out):
    traced = make_fx(torch.atan2, decomposition_table=SPELLED_OUT)(torch.ones(3, dtype=dtype), torch.ones(3, dtype=dtype))
    called = {node.target for node in traced.graph.nodes if node.op == "call_function"}
    assert (ATAN2 not in called) == spelled_out
