import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.prune import l1_unstructured

from danlu.layers import (
    Gain,
    He,
    Orthogonal,
    StandardizedLinear,
    Xavier,
    activations,
    fans,
    initialize,
    lsuv,
    zero_last,
)
from danlu.layers.init import Scheme
from tests.golden.replay import load

_, GOLDEN = load("B_init__torch.npz")
SHAPES = {"lin": (64, 32), "conv": (16, 8, 3, 3)}


def drawn(scheme: Scheme, shape, seed=0):
    weight = torch.empty(shape)
    scheme(weight, torch.Generator().manual_seed(seed))
    return weight


@pytest.mark.parametrize("kind", SHAPES)
def test_golden_fans_and_sizes(kind):
    shape = SHAPES[kind]
    assert fans(torch.empty(shape)) == tuple(GOLDEN[f"{kind}_fan"])
    std, bound = float(GOLDEN[f"{kind}_xavier_std"]), math.sqrt(3) * float(GOLDEN[f"{kind}_xavier_std"])
    big = (shape[0] * 16, shape[1] * 16, *shape[2:])  # fans 16 times as large, sizes a quarter
    assert float(drawn(Xavier(), big).std()) == pytest.approx(std / 4, rel=0.01)
    assert bound / 4 * 0.999 < float(drawn(Xavier(), big).abs().max()) <= bound / 4
    assert float(drawn(He(), big).std()) == pytest.approx(float(GOLDEN[f"{kind}_he_std"]) / 4, rel=0.01)


@pytest.mark.parametrize("kind", SHAPES)
def test_xavier_is_torchs_draw(kind):
    """The golden weights were drawn from seed 0."""
    np.testing.assert_allclose(drawn(Xavier(), SHAPES[kind]).numpy(), GOLDEN[f"{kind}_xavier_u"], rtol=0, atol=1e-7)


@pytest.mark.parametrize(("slope", "name"), [(0.0, "gain_relu"), (0.2, "gain_leaky0.2"), (1.0, "gain_linear")])
def test_he_has_the_gain_of_its_slope(slope, name):
    weight = drawn(He(slope), (500, 800))
    assert float(weight.std()) == pytest.approx(float(GOLDEN[name]) / math.sqrt(800), rel=0.01)


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (8, 2, 3, 3)])
def test_orthogonal_has_equal_singular_values(shape):
    values = torch.linalg.svdvals(drawn(Orthogonal(1.5), shape).flatten(1))
    torch.testing.assert_close(values, torch.full_like(values, 1.5))


@pytest.mark.parametrize("build", [lambda: Xavier(0.0), lambda: Orthogonal(-1.0), lambda: He(math.inf)])
def test_values_out_of_range_are_refused(build):
    with pytest.raises(ValueError, match="must be in"):
        build()


def test_draws_are_keyed_by_name():
    small, large = (nn.Sequential(*(nn.Linear(4, 4) for _ in range(n))) for n in (2, 3))
    assert initialize(small, He(), 0) == ["0", "1"]
    initialize(large, He(), 0)
    assert torch.equal(small[1].weight, large[1].weight)
    assert not torch.equal(small[0].weight, small[1].weight)
    assert not small[0].bias.any()
    before = small[0].weight.clone()
    initialize(small, He(), 1)
    assert not torch.equal(small[0].weight, before)


@pytest.mark.parametrize("scheme", [Xavier(), He(), Orthogonal()])
def test_a_start_is_the_same_in_every_layout_and_dtype(scheme):
    plain, last, narrow = (nn.Conv2d(3, 4, 3) for _ in range(3))
    last.to(memory_format=torch.channels_last)
    narrow.bfloat16()
    for layer in (plain, last, narrow):
        initialize(layer, scheme, 0)
    assert torch.equal(last.weight, plain.weight)
    assert torch.equal(narrow.weight, plain.weight.bfloat16())


def test_parametrised_weights_are_drawn_and_not_zeroed():
    plain, normed = nn.Linear(4, 5), weight_norm(nn.Linear(4, 5))
    for layer in (plain, normed):
        assert initialize(layer, He(), 0) == [""]
    torch.testing.assert_close(normed.weight, plain.weight, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="zero_last: 1 has a parametrised weight; zero it by hand, or end with a Gain"):
        zero_last(nn.Sequential(plain, normed))
    assert plain.weight.any()


def test_draws_are_made_on_the_cpu_wherever_the_weights_are():
    drawn = []
    initialize(nn.Linear(3, 3, device="meta"), lambda weight, draws: drawn.append((weight.device, draws.device)), 0)
    assert drawn == [(torch.device("cpu"), torch.device("cpu"))]


@pytest.mark.parametrize(
    ("branch", "last"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)), "2"),
        (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), "1"),
        (nn.Sequential(nn.Linear(3, 3), Gain(1.0)), "1"),
        (nn.Linear(3, 3), ""),
    ],
)
def test_a_branch_of_which_the_last_layer_is_zero_adds_nothing(branch, last):
    assert zero_last(branch) == last
    x = torch.randn(4, 3, requires_grad=True)
    y = x + branch(x)
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in branch.parameters())  # it will leave the zero


def test_what_cannot_be_zeroed_is_told():
    with pytest.raises(ValueError, match="no layer with a weight"):
        zero_last(nn.ReLU())
    with pytest.raises(ValueError, match="0 has bias, gain, weight; zero it by hand"):
        zero_last(nn.Sequential(StandardizedLinear(3, 3)))


def sample():
    return torch.randn(256, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_report_is_the_oracle():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    x = torch.randn(6, 3, dtype=torch.float64)
    report = activations(model, lambda model: model(x), lambda module: isinstance(module, (nn.Linear, nn.ReLU)))
    h = x.numpy() @ model[0].weight.detach().numpy().T + model[0].bias.detach().numpy()
    for row, y in zip(report.rows, (h, np.maximum(h, 0)), strict=False):
        wanted = (y.mean(), y.std(), np.sqrt(y.var(0, ddof=1).mean()), (y == 0).mean())
        assert (row.mean, row.std, row.spread, row.zeros) == pytest.approx(wanted, rel=1e-12)
    assert [(row.name, row.kind) for row in report.rows] == [("0", "Linear"), ("1", "ReLU"), ("2", "Linear")]
    assert len(str(report).splitlines()) == 5
    assert not any(module._forward_hooks for module in model.modules())


def plain():
    """Twenty linear layers with ReLU between, as torch starts them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten())
    for _ in range(20):
        model.append(nn.Sequential(nn.Linear(64, 64), nn.ReLU()))
    return model


def test_torchs_start_makes_twenty_layers_blind_and_the_report_says_so():
    report = activations(plain(), lambda model: model(sample()))
    assert len(report.rows) == 20
    assert report.verdict.startswith("samples look alike")
    assert 0.3 < report.growth < 0.55  # √(1/6) = 0.41 a layer
    model = plain()
    initialize(model, He(), 0)
    report = activations(model, lambda model: model(sample()))
    assert report.verdict.startswith("keeps its size")
    assert report.growth > 0.8


@pytest.mark.parametrize(
    ("gain", "words"), [(10.0, "explodes: spread"), (0.01, "vanishes: spread"), (math.nan, "not finite from 0 on")]
)
def test_verdicts(gain, words):
    layers = [nn.Linear(50, 50, bias=False) for _ in range(4)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=gain / 50**0.5) if math.isfinite(gain) else nn.init.constant_(layer.weight, gain)
    assert activations(nn.Sequential(*layers), lambda model: model(torch.randn(64, 50))).verdict.startswith(words)


def test_dead_layers_and_too_little_data():
    model = nn.Sequential(nn.Linear(3, 4))
    nn.init.zeros_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    assert activations(model, lambda model: model(torch.randn(8, 3))).verdict == "dead: 0 gives zeros alone"
    with pytest.raises(ValueError, match="a single sample"):
        activations(model, lambda model: model(torch.randn(1, 3)))
    with pytest.raises(ValueError, match="none of the chosen layers"):
        activations(nn.ReLU(), lambda model: model(torch.randn(2, 3)))


def test_lsuv_gives_every_layer_variance_one():
    model = plain()
    initialize(model, Orthogonal(), 0)
    model[3][0].bias.data.fill_(0.5)
    found = lsuv(model, lambda model: model(sample()), tolerance=1e-3)
    assert len(found) == 20
    assert sum(std < 0.9 for std in found.values()) > 15
    assert all(abs(row.std**2 - 1) < 2e-3 for row in activations(model, lambda model: model(sample())).rows)


def test_lsuv_leaves_standardised_layers_alone_and_undoes_what_fails():
    model = nn.Sequential(StandardizedLinear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match="lsuv: the outputs of 2 have standard deviation 0"):
        lsuv(model, lambda model: model(torch.ones(1, 4) * torch.arange(5.0)[:, None]))
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
    assert lsuv(model[:2], lambda model: model(torch.randn(64, 4, generator=torch.Generator().manual_seed(0)))).keys() == {"1"}


@pytest.mark.parametrize(
    "parametrised", [weight_norm, nn.utils.spectral_norm, lambda layer: l1_unstructured(layer, "weight", 0.3)]
)
def test_lsuv_refuses_weights_that_are_made_from_others(parametrised):
    model = nn.Sequential(nn.Linear(4, 4), parametrised(nn.Linear(4, 4)))
    x, before = torch.randn(16, 4), model[0].weight.clone()
    with pytest.raises(ValueError, match="lsuv: the weight of '1' is made from other parameters, as by weight_norm"):
        lsuv(model, lambda model: model(x))
    assert torch.equal(model[0].weight, before)
    assert lsuv(model, lambda model: model[0](x)).keys() == {"0"}  # where it is not called it may stand


def test_lsuv_says_when_it_does_not_arrive():
    model = nn.Sequential(nn.Linear(4, 4))
    nn.init.constant_(model[0].bias, 0.0)
    model[0].bias.data[0] = 100.0  # a variance that no weight takes away
    with pytest.raises(RuntimeError, match="after 3 attempts"):
        lsuv(model, lambda model: model(torch.randn(16, 4)), attempts=3)
