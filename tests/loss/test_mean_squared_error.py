import numpy as np
import pytest
import torch

from danlu.loss import mean_squared_error


@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (0, 2)])
def test_sum_count_and_gradient_meet_numpy(shape):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=shape), rng.normal(size=shape)
    output = torch.tensor(x, requires_grad=True)
    got = mean_squared_error(output, torch.as_tensor(y))
    got.total.backward()
    assert got.total.item() == pytest.approx(((x - y) ** 2).sum(), rel=1e-13)
    assert got.count == x.size
    np.testing.assert_allclose(output.grad.numpy(), 2 * (x - y), rtol=1e-13)


def test_nothing_is_broadcast():
    with pytest.raises(ValueError, match=r"one shape, got \(4, 1\) and \(4,\)"):
        mean_squared_error(torch.zeros(4, 1), torch.zeros(4))


def test_half_precision_is_summed_in_float32():
    x = torch.full((4096,), 0.1, dtype=torch.float16)
    got = mean_squared_error(x, torch.zeros(4096, dtype=torch.float16))
    assert got.total.dtype == torch.float32
    assert float(got.total) == pytest.approx(4096 * float(x[0].double()) ** 2, rel=1e-6)
