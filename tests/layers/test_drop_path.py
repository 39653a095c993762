import numpy as np
import pytest
import torch

from danlu.layers import DropPath, depth_rates, drop_path
from danlu.task.models import ViT
from tests.golden.replay import load

META, GOLDEN = load("B_drop_path__timm.npz")


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("scale", [True, False])
def test_golden(rate, scale):
    """timm's numbers for 64 samples of ones, from the same seed."""
    draws = torch.Generator().manual_seed(META["hyper"]["seed"])
    x = torch.ones(64, 3, 2, dtype=torch.float64)
    y = drop_path(x, rate, scale_by_keep=scale, generator=draws).numpy()
    wanted = GOLDEN[f"y_p{rate}_scale{scale}"]
    np.testing.assert_allclose(y, np.broadcast_to(wanted[:, None, None], y.shape), rtol=1e-15)
    np.testing.assert_array_equal(wanted != 0, GOLDEN[f"mask_p{rate}"] != 0)


def test_golden_rates():
    np.testing.assert_allclose(depth_rates(0.1, 12), GOLDEN["rates_depth12_0.1"], atol=1e-7)  # timm's are float32
    assert depth_rates(0.1, 1) == [0.0]
    with pytest.raises(ValueError, match=r"depth_rates: rate must be in \[0, 1\], got 1.5"):
        depth_rates(1.5, 3)


def test_off_is_absent_and_draws_nothing():
    x = torch.randn(4, 3)
    before = torch.get_rng_state()
    assert DropPath(0.0).train()(x) is x
    assert DropPath(0.9).eval()(x) is x
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("scale", [True, False])
def test_all_dropped_is_zero_with_zero_gradient(scale):
    x = torch.randn(4, 3, requires_grad=True)
    y = DropPath(1.0, scale_by_keep=scale)(x)
    y.sum().backward()
    assert torch.equal(y, torch.zeros(4, 3))
    assert torch.equal(x.grad, torch.zeros(4, 3))


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_the_mean_over_masks_is_x(rate):
    n = 40_000
    x = torch.full((n, 1), 3.0, dtype=torch.float64)
    y = drop_path(x, rate, generator=torch.Generator().manual_seed(0))
    sd = 3.0 * (rate / (1 - rate)) ** 0.5 / n**0.5
    assert float(y.mean()) == pytest.approx(3.0, abs=4 * sd)
    assert y.unique().tolist() == pytest.approx([0.0, 3.0 / (1 - rate)], rel=1e-12)


def test_gradients():
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda x: drop_path(x, 0.4, generator=torch.Generator().manual_seed(1)), x)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), True])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(ValueError, match="DropPath: rate must be"):
        DropPath(rate)


def test_a_vit_drops_branches_never_tokens():
    """With every branch dropped, the blocks are the identity: what is left are patches, positions, norm and head."""
    torch.manual_seed(0)
    model = ViT(drop_path=1.0).train()
    for block in model.blocks:
        block.drop.rate = 1.0  # the first block has rate 0
    images = torch.randn(6, 1, 8, 8)
    tokens = model.patches(images).flatten(2).mT + model.positions
    assert torch.equal(model(images), model.head(model.norm(tokens).mean(dim=1)))


def test_a_vits_rates_rise_with_depth_and_eval_ignores_them():
    torch.manual_seed(0)
    model, plain = ViT(depth=5, drop_path=0.4), ViT(depth=5)
    assert [block.drop.rate for block in model.blocks] == depth_rates(0.4, 5)
    plain.load_state_dict(model.state_dict())
    images = torch.randn(6, 1, 8, 8)
    assert torch.equal(model.eval()(images), plain.eval()(images))
    assert not torch.equal(model.train()(images), plain.train()(images))
