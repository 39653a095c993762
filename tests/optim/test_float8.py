"""Eight-bit floats: codes are the nearest values, errors are bounded, and kernels give the eager numbers."""

import numpy as np
import pytest
import torch

from danlu import optim
from danlu.optim.run import kernel
from danlu.optim.store import Float8
from tests.optim.test_int8 import EXACT, stepped, stored, walk


def table(root):
    """What code k stands for in scales, from the definition: (1 + m/2ᵏ)·2ᵉ − ε."""
    bits = 4 if root else 3
    sizes = np.array([(1 + m / 2**bits) * 2.0 ** (e - 15) - 2.0**-15 for e in range(16) for m in range(2**bits)])
    return sizes if root else np.concatenate([sizes, -sizes])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("root", [False, True])
def test_codes_are_the_nearest_values(root, dtype):
    codec, values = Float8(root=root), torch.tensor(table(root))
    got = codec.decode({"code": torch.arange(256, dtype=torch.uint8), "scale": torch.ones(1)}, torch.empty(256, dtype=dtype))
    torch.testing.assert_close(got.double().sqrt() if root else got.double(), values, rtol=1e-6, atol=1e-12)
    source = torch.Generator().manual_seed(0)
    x = 10.0 ** (-5.5 * torch.rand(1 << 14, dtype=torch.float64, generator=source))
    x = (x if root else x * (torch.rand(x.shape, generator=source) - 0.5).sign()).to(dtype)
    x.view(-1, 256)[:, 0] = torch.linspace(1.0, 1.999, 64)  # up to where rounding to the nearest float would give 2
    parts = codec.encode(x * x if root else x, {})
    assert (parts["scale"] == 1).all()
    code = parts["code"].long()
    error = (values[code] - x.double()).abs()
    least = (values[:, None] - x.double()).abs()
    if root:
        least[0] = torch.inf  # what is not zero has another code
    assert (error <= least.amin(0) * (1 + 1e-4) + 1e-7).all()


@pytest.mark.parametrize("root", [False, True])
def test_a_scale_is_the_power_of_two_below_the_largest(root):
    largest = torch.tensor([3e-30, 0.24, 0.25, 0.9999, 1.0, 3.9, 4.0, 2e20], dtype=torch.float64)
    x = largest[:, None] * torch.tensor([-1.0, 0.5])
    scale = Float8(2, root=root).encode(x * x if root else x, {})["scale"].double()
    assert torch.equal(scale, 2.0 ** largest.log2().floor())


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("largest", [1.0, 1.4, 1.999])
def test_a_value_is_within_a_sixteenth_of_what_it_stands_for(root, largest):
    x = largest * torch.cat([torch.ones(1), torch.logspace(0, -4, 255, dtype=torch.float64)])
    back = stored(Float8(root=root), x * x if root else x)[1]
    back = back.sqrt() if root else back
    assert ((back - x).abs() / x).max() <= (1 / 32 if root else 1 / 16) * 1.3
    assert ((back - x).abs() / x).max() >= 1 / 40  # it does round


def test_zero_stays_and_no_magnitude_becomes_it():
    x = torch.tensor([0.0, 1e-30, 1.0, 0.0, 3e-6, 1e-9, 0.5, 2e-5], dtype=torch.float64)
    back = stored(Float8(8, root=True), x)[1]
    assert torch.equal(back == 0, x == 0)
    signed = torch.tensor([0.0, 1e-7, -1e-7, 1.0, -1.0, 0.0, 3e-5, -3e-5], dtype=torch.float64)
    back = stored(Float8(8), signed)[1]
    assert back.sign().tolist() == [0, 0, 0, 1, -1, 0, 1, -1]
    torch.testing.assert_close(back[3:5], signed[3:5] * (1 - 2.0**-15), rtol=1e-6, atol=0)
    assert torch.equal(stored(Float8(4), torch.zeros(8))[1], torch.zeros(8))


def test_adamw_with_eight_bit_floats_follows_full_state():
    """The movement over 30 steps is 5e-3 per element."""
    rows = walk("adamw", store=Float8())
    apart = np.abs(rows - EXACT)
    assert apart.max() <= 1.5e-2
    assert apart[-1].mean() <= 4e-4
    assert apart.max() >= 1e-5


@pytest.mark.skipif(kernel.compiler_for("cpu") is None, reason="no C++ compiler")
@pytest.mark.parametrize("n", [256 * 3, 256 * 2 + 77])
def test_a_kernel_gives_the_eager_numbers(n):
    """A code may turn over where the two round the number apart."""
    (p, state), (q, other) = (stepped("adamw", n, on, store=Float8()) for on in (True, False))
    for key, kept in state.items():
        if key.endswith(".code"):
            assert (kept == other[key]).double().mean() >= 0.99
    assert ((p - q).abs() <= 1e-6).double().mean() >= 0.97
    assert (p - q).abs().max() <= 1e-3


def test_bytes():
    assert optim.explain("adamw+store.float8").count("2.03") == 1
