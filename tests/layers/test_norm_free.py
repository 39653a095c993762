import numpy as np
import pytest
import torch
from torch import nn

from danlu.layers import (
    DropPath,
    Gain,
    NormFreeResidual,
    RMSNorm,
    StandardizedConv2d,
    StandardizedLinear,
    freeze_batch_norm,
    residual_scales,
    standardized,
    without_norms,
)
from danlu.optim.roles import roles
from danlu.task.models import CNN, NormFreeDeepMLP, NormFreeResNet, ResNet, ViT


def test_a_block_is_the_oracle():
    torch.manual_seed(0)
    branch = nn.Linear(3, 3).double()
    block = NormFreeResidual(branch, beta=1.5, alpha=0.3).double()
    h = torch.randn(4, 3, dtype=torch.float64)
    assert torch.equal(block(h), h)  # g starts at 0
    with torch.no_grad():
        block.gain.weight.fill_(2.0)
    x = h.numpy()
    wanted = x + 0.3 * 2.0 * (x / 1.5 @ branch.weight.detach().numpy().T + branch.bias.detach().numpy())
    np.testing.assert_allclose(block(h).detach().numpy(), wanted, rtol=0, atol=1e-14)
    torch.autograd.gradcheck(lambda h, *params: block(h), (h.requires_grad_(), *block.parameters()))


def test_at_the_start_the_gain_has_a_gradient_and_the_branch_has_none():
    block = NormFreeResidual(nn.Linear(3, 3))
    block(torch.randn(4, 3)).square().sum().backward()
    assert float(block.gain.weight.grad.abs()) > 1e-3
    assert not block.branch.weight.grad.any()


def test_drop_path_is_on_the_branch():
    block = NormFreeResidual(nn.Linear(3, 3), drop=DropPath(1.0))
    with torch.no_grad():
        block.gain.weight.fill_(1.0)
    h = torch.randn(4, 3)
    assert torch.equal(block.train()(h), h)
    assert not torch.equal(block.eval()(h), h)


def test_residual_scales_are_the_deviations_of_independent_branches():
    torch.manual_seed(0)
    h = torch.randn(200_000)
    for beta in residual_scales(12, 0.5):
        assert float(h.std()) == pytest.approx(beta, rel=0.01)
        h = h + 0.5 * torch.randn(200_000)


def test_a_gain_before_a_sigmoid_uses_its_range():
    """The numbers of the docstring."""
    z = torch.randn(400_000, generator=torch.Generator().manual_seed(0))
    for start, std, straight in ((1.0, 0.208, 0.984), (3.0, 0.368, 0.878), (6.0, 0.432, 0.784)):
        y = torch.sigmoid(Gain(start)(z)).detach()
        assert float(y.std()) == pytest.approx(std, abs=0.003)
        assert float(torch.corrcoef(torch.stack((y, z)))[0, 1]) ** 2 == pytest.approx(straight, abs=0.005)


def test_gains_take_finite_numbers():
    with pytest.raises(ValueError, match="Gain: start must be in"):
        Gain(float("nan"))
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    gain = Gain(0.7).double()
    torch.autograd.gradcheck(lambda x, _: gain(x), (x, gain.weight))


NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase, RMSNorm)


@pytest.mark.parametrize("build", [CNN, ViT, ResNet])
def test_the_bare_twin_differs_in_norms_alone(build):
    model = build()
    twin = without_norms(model)
    assert not any(isinstance(module, NORMS) for module in twin.modules())
    kept = twin.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items() if name in kept)
    lost = {name for name in model.state_dict() if name not in kept}
    owners = dict(model.named_modules())
    assert {name.rpartition(".")[0] for name in lost} == {name for name, m in owners.items() if isinstance(m, NORMS)}
    assert twin(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    with pytest.raises(ValueError, match="has no normalisation below it"):
        without_norms(twin)


def test_frozen_batch_norms_leave_too():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    freeze_batch_norm(model)
    assert isinstance(without_norms(model)[1], nn.Identity)


def test_standardized_takes_weights_over_and_keeps_what_it_is_told():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten(), nn.Linear(16, 5, bias=False), nn.Linear(5, 2)).double()
    twin = standardized(model, 1.7, keep=("3",))
    assert isinstance(twin[0], StandardizedConv2d)
    assert isinstance(twin[2], StandardizedLinear)
    assert type(twin[3]) is nn.Linear
    assert torch.equal(twin[0].weight, model[0].weight)
    assert (twin[0].gamma, twin[2].bias, twin[2].weight.dtype) == (1.7, None, torch.float64)
    assert twin(torch.randn(3, 2, 4, 4, dtype=torch.float64)).shape == (3, 2)
    with pytest.raises(ValueError, match="no layer 'head' to keep"):
        standardized(model, 1.7, keep=("head",))


def test_standardized_keeps_what_is_shared_and_what_is_frozen():
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 7, bias=False))
    model.append(model[1])
    model[3].weight = model[0].weight
    model[1].requires_grad_(False)
    twin = standardized(model, 1.0)
    assert isinstance(twin[1], StandardizedLinear)
    assert twin[4] is twin[1]
    assert twin[3].weight is twin[0].weight
    assert not twin[1].weight.requires_grad
    assert standardized(model, 1.0, keep=("4",))[1] is not model[1]
    assert type(standardized(model, 1.0, keep=("4",))[1]) is nn.Linear


@pytest.mark.filterwarnings("ignore:.*nested tensor")
@pytest.mark.parametrize("twin_of", [without_norms, lambda model: standardized(model, 1.0)])
@pytest.mark.parametrize("masked", [False, True])
def test_twins_of_torchs_encoders_compute_in_evaluation_what_they_compute_in_training(twin_of, masked):
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    twin, x = twin_of(nn.TransformerEncoder(layer, 2)), torch.randn(2, 5, 8)
    mask = torch.arange(5) >= torch.tensor([[5], [3]]) if masked else None
    trained = twin.train()(x, src_key_padding_mask=mask)
    with torch.no_grad():
        torch.testing.assert_close(twin.eval()(x, src_key_padding_mask=mask), trained, rtol=0, atol=1e-5)


@pytest.mark.parametrize("build", [NormFreeResNet, NormFreeDeepMLP])
def test_norm_free_models_have_no_norm_and_a_plain_head(build):
    model = build()
    assert not any(isinstance(module, NORMS) for module in model.modules())
    head = [name for name, role in roles(model).items() if role == "head"]
    assert len(head) == 1
    assert type(model.get_submodule(head[0].removesuffix(".weight"))) is nn.Linear
    x = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(model(x)[:1], model(x[:1]), rtol=0, atol=1e-5)  # no statistics of the batch
