import math

import numpy as np
import pytest
import torch
from torch import nn

from danlu.layers import StandardizedConv2d, StandardizedLinear, activation_gain, standardize
from tests.golden.replay import load

_, GOLDEN = load("B_scaled_weight_standardization__timm.npz")


@pytest.mark.parametrize(("case", "gamma"), [("g1", 1.0), ("gelu", 1.7015043497085571), ("nogain", 1.0)])
def test_golden(case, gamma):
    """timm's ScaledStdConv2d; its scale is γ/√n with n = 27, its table's γ for GELU."""
    assert float(GOLDEN[f"scale_{case}"]) == pytest.approx(gamma / math.sqrt(27), rel=1e-14)
    layer = StandardizedConv2d(3, 4, 3, padding=1, bias=False, gamma=gamma, eps=float(GOLDEN["eps"])).double()
    layer.load_state_dict({"weight": torch.from_numpy(GOLDEN[f"w_{case}"]), "gain": torch.from_numpy(GOLDEN[f"gain_{case}"])})
    y = layer(torch.from_numpy(GOLDEN["x"])).detach().numpy()
    np.testing.assert_allclose(y, GOLDEN[f"y_{case}"], rtol=0, atol=1e-13)


def test_the_oracle_in_float64():
    rng = np.random.default_rng(0)
    w, gain = rng.normal(3, 2, (5, 4, 3, 2)), rng.normal(size=(5, 1, 1, 1))
    wanted = np.stack([g * 1.7 * (o - o.mean()) / np.sqrt(24 * (o.var() + 0.01)) for o, g in zip(w, gain, strict=True)])
    got = standardize(torch.from_numpy(w), torch.from_numpy(gain), 1.7, 0.01)
    np.testing.assert_allclose(got.numpy(), wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (StandardizedConv2d(4, 6, 3, groups=2, gamma=1.3), torch.randn(2, 4, 5, 5)),
        (StandardizedLinear(5, 3, gamma=1.3), torch.randn(4, 5)),
    ],
)
def test_gradients_and_that_neither_scale_nor_shift_of_the_weights_matters(layer, x):
    layer, x = layer.double(), x.double().requires_grad_()
    torch.autograd.gradcheck(lambda x, *params: layer(x), (x, *layer.parameters()))
    y = layer(x)
    with torch.no_grad():
        layer.weight.mul_(100).add_(7)
    torch.testing.assert_close(layer(x), y, rtol=0, atol=1e-3)  # ε
    with torch.no_grad():
        layer.gain.mul_(2)
    torch.testing.assert_close(
        layer(x) - layer.bias.view(-1, *[1] * (y.ndim - 2)),
        2 * (y - layer.bias.view(-1, *[1] * (y.ndim - 2))),
        rtol=0,
        atol=1e-2,
    )


@pytest.mark.parametrize("function", [torch.relu, nn.GELU(), nn.SiLU(), torch.tanh, nn.LeakyReLU(0.2)])
def test_activation_gain_meets_many_samples(function):
    z = torch.randn(4_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert activation_gain(function) == pytest.approx(float(function(z).std()) ** -1, rel=3e-3)


def test_activation_gains_in_closed_form():
    assert activation_gain(torch.relu) == pytest.approx(math.sqrt(2 / (1 - 1 / math.pi)), rel=1e-8)
    assert activation_gain(lambda z: 4 * z + 2) == pytest.approx(0.25, rel=1e-12)
    leaky = (1 + 0.04) / 2 - 0.64 / (2 * math.pi)
    assert activation_gain(nn.LeakyReLU(0.2)) == pytest.approx(leaky**-0.5, rel=1e-8)
    with pytest.raises(ValueError, match="is constant on"):
        activation_gain(torch.zeros_like)


def test_variance_stays_one_through_thirty_layers():
    """Wide layers behind ReLU; torch's own start loses a factor 6 of the variance a layer."""
    torch.manual_seed(0)
    gamma = activation_gain(torch.relu)
    layers = [StandardizedLinear(400, 400, bias=False, gamma=gamma) for _ in range(30)]
    x = torch.randn(500, 400)
    with torch.no_grad():
        for layer in layers:
            x = layer(torch.relu(x))
            assert float(x.var()) == pytest.approx(1, abs=0.25)
            assert abs(float(x.mean())) < 0.02


@pytest.mark.parametrize("layer", [StandardizedConv2d, StandardizedLinear])
def test_values_out_of_range_are_refused(layer):
    sizes = (2, 3, 1) if layer is StandardizedConv2d else (2, 3)
    with pytest.raises(ValueError, match=rf"{layer.__name__}: gamma must be in \(0, inf\), got 0.0"):
        layer(*sizes, gamma=0.0)
