import numpy as np
import pytest
import torch
from torch import nn

from danlu.layers import ChannelNorm, LayerScale, RMSNorm
from tests.golden.replay import load

META, GOLDEN = load("B_norm_layers__torch.npz")


def given(name):
    return torch.from_numpy(GOLDEN[name])


def rms_norm(width, weight, eps):
    layer = RMSNorm(width, eps).to(weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


def test_rms_norm_meets_golden():
    layer = rms_norm(8, given("g8"), META["hyper"]["eps_rms"])
    np.testing.assert_allclose(layer(given("x3")).detach().numpy(), GOLDEN["rms"], rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rms_norm_is_torchs(dtype):
    torch.manual_seed(0)
    weight, x = torch.randn(6, dtype=dtype), torch.randn(3, 4, 6, dtype=dtype)
    theirs = nn.RMSNorm(6, eps=1e-6, dtype=dtype)
    theirs.load_state_dict({"weight": weight})
    torch.testing.assert_close(rms_norm(6, weight, 1e-6)(x), theirs(x), rtol=0, atol=50 * torch.finfo(dtype).eps)


def test_rms_norm_meets_the_oracle_in_float64():
    rng = np.random.default_rng(0)
    for eps in (1e-6, 0.5):
        x, g = rng.normal(size=(5, 7)), rng.normal(size=7)
        wanted = g * x / np.sqrt((x**2).sum(-1, keepdims=True) / 7 + eps)
        got = rms_norm(7, torch.from_numpy(g), eps)(torch.from_numpy(x))
        np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=0, atol=1e-14)


def test_rms_norm_of_bfloat16_is_rounded_once():
    torch.manual_seed(0)
    x, weight = torch.randn(64, 256).bfloat16() * 0.01, torch.randn(256).bfloat16()
    exact = rms_norm(256, weight.double(), 1e-6)(x.double())
    got = rms_norm(256, weight, 1e-6)(x)
    assert got.dtype == torch.bfloat16
    assert ((got.double() - exact).abs() <= exact.abs() * 2**-8).all()  # half a unit in the last place is 2⁻⁹ to 2⁻⁸


@pytest.mark.parametrize(
    ("layer", "shape"), [(RMSNorm(4), (3, 4)), (ChannelNorm(4), (2, 4, 3, 2)), (LayerScale(4, 0.3, 1), (2, 4, 3, 2))]
)
def test_gradients(layer, shape):
    layer = layer.double()
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    torch.autograd.gradcheck(lambda x, *params: layer(x), (x, *layer.parameters()))


def test_channel_norm_normalises_every_place_by_itself():
    x = np.random.default_rng(0).normal(2, 3, (2, 5, 3, 4))
    got = ChannelNorm(5).double()(torch.from_numpy(x)).detach().numpy()
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)
    other = nn.functional.group_norm(torch.from_numpy(x), 1).numpy()
    assert np.abs(got - other).max() > 0.1


def test_torchs_layer_norm_is_golden():
    got = nn.functional.layer_norm(given("x3"), (8,), given("g8"), given("b8"), META["hyper"]["eps_ln"])
    np.testing.assert_allclose(got.numpy(), GOLDEN["ln"], rtol=0, atol=1e-13)


def test_layer_scale_multiplies_channels():
    layer = LayerScale(3, 0.5)
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(layer(torch.ones(2, 4, 3)), torch.tensor([0.5, 1.0, 1.5]).expand(2, 4, 3))
    layer.dim = 1
    assert torch.equal(layer(torch.ones(2, 3, 4)), torch.tensor([0.5, 1.0, 1.5])[:, None].expand(2, 3, 4))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: RMSNorm(0), r"RMSNorm: width must be in \[1, inf\), got 0"),
        (lambda: RMSNorm(4, 0.0), r"RMSNorm: eps must be in \(0, inf\), got 0.0"),
        (lambda: LayerScale(4, float("inf")), "LayerScale: start must be"),
    ],
)
def test_values_out_of_range_are_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_torchs_dropouts_drop_what_the_page_says():
    """Elements, channels of pictures, features of sequences, all scaled in training, so that evaluation is the identity."""
    torch.manual_seed(0)
    x = torch.ones(50, 40, 6)
    elements = nn.Dropout(0.25)(x)
    assert elements.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert float((elements == 0).float().mean(-1).std()) > 0  # not whole rows
    channels = nn.Dropout1d(0.25)(x)
    assert torch.equal(channels.amin(-1), channels.amax(-1))
    assert float((channels == 0).float().mean()) == pytest.approx(0.25, abs=4 * (0.1875 / 2000) ** 0.5)
