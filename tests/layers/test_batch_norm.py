import numpy as np
import pytest
import torch
from torch import nn

from danlu.layers import FrozenBatchNorm, freeze_batch_norm, recalibrate, recalibrate_in_one_pass
from tests.golden.replay import load

META, GOLDEN = load("B_norm_layers__torch.npz")


def network():
    torch.manual_seed(0)
    layers = nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3), nn.BatchNorm1d(3, affine=False), nn.Linear(3, 2)
    model = nn.Sequential(*layers).double()
    with torch.no_grad():
        model[1].weight.normal_()
        model[1].bias.normal_()
        model[1].running_mean.normal_()
        model[1].running_var.uniform_(0.5, 2)
    return model


def ragged():
    """Batches of several sizes whose means differ by far: a mean of the batches' variances is wrong by much."""
    draws = torch.Generator().manual_seed(1)
    return [3 * i + torch.randn(n, 4, dtype=torch.float64, generator=draws) for i, n in enumerate((7, 1, 3, 12))]


def call(model, batch):
    return model(batch)


def test_the_running_variance_is_the_unbiased_one():
    x, g, b = (torch.from_numpy(GOLDEN[name]) for name in ("x4", "g3", "b3"))
    layer = nn.BatchNorm2d(3).double()
    layer.load_state_dict({**layer.state_dict(), "weight": g, "bias": b})
    np.testing.assert_allclose(layer(x).detach().numpy(), GOLDEN["bn_train"], rtol=0, atol=1e-13)
    np.testing.assert_allclose(layer.running_var.numpy(), GOLDEN["bn_rv"], rtol=0, atol=1e-14)
    frozen = FrozenBatchNorm(layer)
    np.testing.assert_allclose(frozen(x).numpy(), GOLDEN["bn_eval"], rtol=0, atol=1e-13)
    np.testing.assert_allclose(frozen.running_mean.numpy(), GOLDEN["bn_rm"], rtol=0, atol=1e-15)


def test_frozen_is_eval_for_ever():
    model = network()
    x = torch.cat(ragged())
    wanted = model.eval()(x)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    assert freeze_batch_norm(model) == ["1", "4"]
    torch.testing.assert_close(model.train()(x), wanted, rtol=0, atol=1e-12)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert {name for name, _ in model.named_parameters()} == {"0.weight", "0.bias", "3.weight", "3.bias", "5.weight", "5.bias"}
    network().load_state_dict(model.state_dict())  # strict, and the other way
    model.load_state_dict(network().state_dict())


def test_frozen_loads_states_without_the_count_of_batches():
    model, state = network(), network().state_dict()
    freeze_batch_norm(model)
    old = {name: value + 1.0 for name, value in state.items() if not name.endswith("num_batches_tracked")}
    model.load_state_dict(old)
    assert torch.equal(model[1].running_var, old["1.running_var"])
    assert "1.num_batches_tracked" not in old  # what is loaded is left as it is
    with pytest.raises(RuntimeError, match=r"1\.running_var"):
        model.load_state_dict({name: value for name, value in old.items() if name != "1.running_var"})


def test_frozen_needs_statistics():
    with pytest.raises(ValueError, match="keeps no running statistics"):
        freeze_batch_norm(nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)))


def test_a_layer_with_two_names_stays_one():
    norm = nn.BatchNorm1d(2)
    model = nn.Sequential(norm, nn.ReLU(), norm)
    freeze_batch_norm(model)
    assert isinstance(model[0], FrozenBatchNorm)
    assert model[0] is model[2]


def test_recalibration_is_exact_over_ragged_batches():
    """The oracle is one batch of all items through NumPy, layer by layer."""
    model, batches = network().train(), ragged()
    params = [p.clone() for p in model.parameters()]
    assert recalibrate(model, lambda: batches, call) == ["1", "4"]
    x = torch.cat(batches).numpy()
    first, second = (model[i].weight.detach().numpy() for i in (0, 3))
    h = x @ first.T + model[0].bias.detach().numpy()
    np.testing.assert_allclose(model[1].running_mean, h.mean(0), rtol=1e-12)
    np.testing.assert_allclose(model[1].running_var, h.var(0, ddof=1), rtol=1e-12)
    h = (h - h.mean(0)) / np.sqrt(h.var(0, ddof=1) + 1e-5) * model[1].weight.detach().numpy() + model[1].bias.detach().numpy()
    h = np.maximum(h, 0) @ second.T + model[3].bias.detach().numpy()
    np.testing.assert_allclose(model[4].running_mean, h.mean(0), rtol=1e-11)
    np.testing.assert_allclose(model[4].running_var, h.var(0, ddof=1), rtol=1e-11)
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), params, strict=True))
    assert model[1].training
    assert int(model[1].num_batches_tracked) == 0


def test_recalibration_does_not_depend_on_the_batches_where_torchs_does():
    whole, parts, torchs = network(), network(), network()
    recalibrate(whole, lambda: [torch.cat(ragged())], call)
    recalibrate(parts, ragged, call)
    torch.testing.assert_close(parts.state_dict(), whole.state_dict(), rtol=0, atol=1e-10)
    torch.optim.swa_utils.update_bn([batch for batch in ragged() if len(batch) > 1], torchs)
    assert float((torchs[1].running_var / whole[1].running_var).min()) < 0.5


class Flip(nn.Module):
    """Calls the layer that is defined last first."""

    def __init__(self):
        super().__init__()
        self.late, self.early, self.unused = nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.late(self.early(x))


def test_the_order_is_that_of_the_calls():
    model = Flip().double()
    assert recalibrate(model, ragged, call) == ["early", "late"]
    x = torch.cat(ragged())
    y = model.eval()(x).detach()
    torch.testing.assert_close(y.mean(0), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-9)
    assert float((y.var(0) - 1).abs().max()) < 1e-4  # ε
    assert torch.equal(model.unused.running_mean, torch.zeros(4, dtype=torch.float64))


class ByName(nn.BatchNorm1d):
    """Called with its input by name."""

    def __call__(self, x):
        return super().__call__(input=x)


def test_a_layer_may_be_called_by_name():
    plain, by_name = nn.BatchNorm1d(4).double(), ByName(4).double()
    assert recalibrate(plain, ragged, call) == recalibrate(by_name, ragged, call)
    assert torch.equal(by_name.running_var, plain.running_var)
    assert not torch.equal(plain.running_mean, torch.zeros(4))


@pytest.mark.parametrize(
    ("batches", "words"),
    [([], "gave no batch"), ([torch.zeros(1, 4, dtype=torch.float64)], "1 saw 1 numbers per channel")],
)
def test_without_enough_data_nothing_changes(batches, words):
    model = network()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=words):
        recalibrate(model, lambda: batches, call)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_one_pass_normalises_each_batch_by_itself_and_pools_all():
    """The oracle is NumPy's: the first layer's are those of `recalibrate`, the second's behind batches of variance 1."""
    model, batches = network().train(), [batch for batch in ragged() if len(batch) > 1]
    exact = network()
    recalibrate(exact, lambda: batches, call)
    assert recalibrate_in_one_pass(model, iter(batches), call) == ["1", "4"]
    torch.testing.assert_close(model[1].state_dict(), exact[1].state_dict(), rtol=1e-12, atol=0)
    weight, bias = (x.detach().numpy() for x in (model[1].weight, model[1].bias))
    seen = []
    for batch in batches:
        h = batch.numpy() @ model[0].weight.detach().numpy().T + model[0].bias.detach().numpy()
        h = np.maximum((h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5) * weight + bias, 0)
        seen.append(h @ model[3].weight.detach().numpy().T + model[3].bias.detach().numpy())
    np.testing.assert_allclose(model[4].running_mean, np.concatenate(seen).mean(0), rtol=1e-11)
    np.testing.assert_allclose(model[4].running_var, np.concatenate(seen).var(0, ddof=1), rtol=1e-11)
    assert not torch.allclose(model[4].running_var, exact[4].running_var, rtol=0.01)  # these batches differ by far
    assert model[1].training
    assert int(model[1].num_batches_tracked) == 0


def test_one_pass_over_one_batch_is_recalibration():
    one, exact, batch = network(), network(), ragged()[3]
    recalibrate(exact, lambda: [batch], call)
    recalibrate_in_one_pass(one, [batch], call)
    torch.testing.assert_close(one[1].state_dict(), exact[1].state_dict(), rtol=1e-12, atol=0)
    torch.testing.assert_close(one[4].running_var, exact[4].running_var, rtol=0.2, atol=0)  # n/(n - 1) is 1.09 before a ReLU


def test_one_pass_drops_nothing_and_sets_what_it_is_asked_for():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.BatchNorm1d(4)).double()
    random = torch.get_rng_state()
    assert recalibrate_in_one_pass(model, ragged(), call, [model[2]]) == ["2"]
    assert torch.equal(torch.get_rng_state(), random)
    x = torch.cat(ragged()) / (1 + model[0].eps) ** 0.5  # the first one keeps mean 0 and variance 1
    torch.testing.assert_close(model[2].running_var, x.var(0), rtol=1e-12, atol=0)
    assert torch.equal(model[0].running_mean, torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("batches", "words"),
    [([], "gave no batch"), ([torch.zeros(1, 4, dtype=torch.float64)], "1 saw 1 numbers per channel")],
)
def test_one_pass_without_enough_data_changes_nothing(batches, words):
    model = network()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=words):
        recalibrate_in_one_pass(model, batches, call)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_compiled_model_is_seen_too():
    """Compiled code does not call hooks that were registered after it was made: such a model was left as it was, silently."""
    plain, inner = network(), network()
    compiled = torch.compile(inner, backend="eager").eval()
    with torch.no_grad():
        compiled(ragged()[0])
    recalibrate(plain, ragged, call)
    assert len(recalibrate(compiled, ragged, call)) == 2
    assert torch.equal(inner[4].running_var, plain[4].running_var)
    assert len(recalibrate_in_one_pass(compiled, ragged(), call)) == 2
