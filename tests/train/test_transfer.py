"""Loading weights of others, new heads, soups and ensembles."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from danlu.train import Ensemble, greedy_soup, load_weights, read_weights, replace_head, soup

from .toys import network, same


def like(seed, classes=4):
    draw = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, classes))
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(generator=draw)
        model[1].running_mean.normal_(generator=draw)
        model[1].num_batches_tracked.fill_(seed)
    return model


@pytest.fixture
def files(tmp_path):
    state = like(1).state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    torch.save({"model": {"state_dict": state}, "epoch": 3}, tmp_path / "nested.pth")
    return tmp_path, state


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "nested.pth"])
def test_every_kind_of_file(files, name):
    folder, state = files
    model = like(2)
    report = load_weights(model, folder / name)
    assert same(dict(model.state_dict()), dict(state))
    assert (report.loaded, report.missing, report.unexpected, report.mismatched) == (list(state), [], [], {})
    assert str(report) == "loaded 9 of 9 tensors"


def test_names_are_changed_by_their_beginnings_or_by_a_function():
    state = like(1).state_dict()
    theirs = {("module.fc" + name[1:] if name[0] == "2" else "module." + name): t for name, t in state.items()}
    for rename in ({"module.": "", "module.fc": "2"}, lambda name: name.removeprefix("module.").replace("fc", "2")):
        model = like(2)
        assert len(load_weights(model, theirs, rename=rename).loaded) == 9
        assert same(dict(model.state_dict()), dict(state))
    report = load_weights(like(2), theirs, rename=lambda name: None if "fc" in name else name.removeprefix("module."))
    assert (len(report.loaded), report.missing, report.unexpected) == (7, ["2.weight", "2.bias"], [])
    with pytest.raises(ValueError, match="rename makes 'x' of two names; the second is"):
        load_weights(like(2), theirs, rename=lambda name: "x")


def test_the_report_tells_all_four():
    theirs = {**like(1, classes=7).state_dict(), "extra": torch.zeros(1)}
    del theirs["0.bias"]
    model = like(2)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(
        ValueError, match=r"2\.weight and 1 more has shape \[7, 5\] in the file, \[4, 5\] in the model; pass skip_"
    ):
        load_weights(model, theirs)
    assert same(dict(model.state_dict()), dict(before))
    report = load_weights(model, theirs, skip_mismatch=True)
    assert str(report).splitlines() == [
        "loaded 6 of 9 tensors",
        "missing     0.bias",
        "unexpected  extra",
        "mismatched  2.weight: [7, 5] in the file, [4, 5] in the model",
        "mismatched  2.bias: [7] in the file, [4] in the model",
    ]
    kept = {name for name, t in model.state_dict().items() if torch.equal(t, before[name])}
    assert kept >= {"0.bias", "2.weight", "2.bias"}
    assert torch.equal(model[0].weight, theirs["0.weight"])


def test_dtype_is_the_models():
    model = like(2).double()
    load_weights(model, like(1).state_dict())
    assert model[0].weight.dtype == torch.float64
    assert torch.equal(model[0].weight, like(1)[0].weight.double())


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_bad_files_are_one_line_and_nothing_runs(tmp_path, capsys):
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"w": Evil()}))
    torch.save({"w": Evil()}, tmp_path / "evil2.pt")
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    for name, words in [
        ("evil.pt", "cannot be read without running code from it"),
        ("evil2.pt", "cannot be read without running code from it"),
        ("bad.safetensors", "cannot be read as safetensors"),
        ("empty.pt", "holds no tensors by name"),
    ]:
        with pytest.raises(ValueError, match=words) as error:
            read_weights(tmp_path / name)
        assert "\n" not in str(error.value)
    assert "executed" not in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_weights(tmp_path / "none.pt")


def test_weights_of_something_else_are_refused():
    with pytest.raises(ValueError, match=r"no name fits: 'body\.0\.weight' in the file; did you mean '0\.weight'"):
        load_weights(like(2), {f"body.{name}": t for name, t in like(1).state_dict().items()})


def test_a_new_head():
    model = network().double()
    before = [p.clone() for p in model[0].parameters()]
    state = torch.get_rng_state()
    new = replace_head(model, 9, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert model[2] is new
    assert new.weight.shape == (9, 5)
    assert new.weight.dtype == torch.float64
    assert same([p.clone() for p in model[0].parameters()], before)
    assert same(new.weight.detach(), replace_head(network(), 9, "2", seed=3).weight.detach())
    assert not same(new.weight.detach(), replace_head(network(), 9, seed=4).weight.detach())
    assert replace_head(nn.Sequential(nn.Linear(2, 3, bias=False)), 4).bias is None
    with pytest.raises(ValueError, match="no linear layer '1' inside the model; there is 0, 2"):
        replace_head(model, 2, "1")
    with pytest.raises(ValueError, match="outputs must be"):
        replace_head(model, 0)


# Soups


@pytest.mark.parametrize("weights", [None, [1, 2, 5]])
def test_a_soup_is_the_weighted_mean(weights, tmp_path):
    states = [like(k).state_dict() for k in range(3)]
    save_file(states[1], tmp_path / "b.safetensors")
    found = soup([states[0], tmp_path / "b.safetensors", states[2]], weights)
    shares = np.array(weights or [1, 1, 1]) / sum(weights or [1, 1, 1])
    for name, tensor in found.items():
        if name.endswith("tracked"):
            assert tensor == 0
            continue
        wanted = sum(share * s[name].double().numpy() for share, s in zip(shares, states, strict=True))
        assert tensor.dtype == states[0][name].dtype
        np.testing.assert_allclose(tensor.numpy(), wanted, rtol=1e-6, atol=1e-7)


def test_a_soup_of_one_and_of_many_in_bfloat16():
    state = {"w": torch.full((3,), 1.0, dtype=torch.bfloat16)}
    assert same(soup([state]), state)
    many = [{"w": torch.full((1,), 1.0 + k / 128, dtype=torch.bfloat16)} for k in range(2)] * 200
    assert soup(many)["w"].item() == torch.tensor(1 + 0.5 / 128, dtype=torch.bfloat16).item()


def test_the_greedy_soup_takes_what_helps():
    """States are numbers, and the score says how near to 1 their mean is: 0.7 alone is best, 1.2 helps, 5 does not."""
    states = [{"w": torch.tensor([x], dtype=torch.float64)} for x in (5.0, 1.2, 0.6, 0.85)]
    found, chosen = greedy_soup(states, lambda state: -abs(state["w"].item() - 1))
    assert chosen == [3, 1]
    assert found["w"].item() == pytest.approx((0.85 + 1.2) / 2, rel=1e-12)
    assert greedy_soup(states[:1], lambda state: 0.0)[1] == [0]


@pytest.mark.parametrize("broken", range(3))
def test_a_diverged_model_is_not_in_the_greedy_soup(broken):
    states = [{"w": torch.tensor([1.0])} for _ in range(3)]
    states[broken] = {"w": torch.tensor([math.nan])}
    found, chosen = greedy_soup(states, lambda state: -abs(state["w"].item() - 1))
    assert sorted(chosen) == [i for i in range(3) if i != broken]
    assert found["w"].item() == 1.0


def test_complex_weights_are_averaged():
    states = [{"w": torch.tensor([x], dtype=torch.complex64)} for x in (1 + 2j, 3 - 4j)]
    assert soup(states)["w"].item() == 2 - 1j


def test_what_a_soup_refuses():
    one, two = like(1).state_dict(), like(2, classes=5).state_dict()
    with pytest.raises(ValueError, match=r"soup: model 1 differs from model 0 in '2\.bias'; they must be of one architecture"):
        soup([one, two])
    for weights in ([1], [-1, 2], [0, 0]):
        with pytest.raises(ValueError, match="soup: needs models and as many weights, at least 0, not all 0"):
            soup([one, one], weights)
    with pytest.raises(ValueError, match="needs at least one model"):
        greedy_soup([], float)


# Ensembles


def test_an_ensemble_is_the_mean():
    models = [like(k).eval() for k in range(3)]
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        each = torch.stack([model(x) for model in models])
        mean, logit = Ensemble(models)(x), Ensemble(models, reduce="logit")(x)
    torch.testing.assert_close(mean.exp(), each.softmax(-1).mean(0), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(mean.softmax(-1), each.softmax(-1).mean(0), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(logit, each.mean(0))
    assert (mean.softmax(-1) - logit.softmax(-1)).abs().max() > 1e-2
    assert len(list(Ensemble(models).parameters())) == 18
    far = Ensemble([lambda_(0.0, -1000.0), lambda_(0.0, -1000.0)])(x[:1])
    assert far[0, 1] == -1000.0  # in logarithms nothing underflows


def lambda_(*logits):
    class Fixed(nn.Module):
        def forward(self, x):
            return torch.tensor([logits])

    return Fixed()


def test_what_an_ensemble_refuses():
    with pytest.raises(ValueError, match="needs at least one model"):
        Ensemble([])
    with pytest.raises(ValueError, match="reduce must be one of probability, logit"):
        Ensemble([like(0)], reduce="vote")
    for outputs in (nn.Linear(3, 1), nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))):  # one logit for yes or no
        with pytest.raises(ValueError, match=r"logits \(N, …, K\) of K ≥ 2 classes, got outputs of shape \[7.*reduce='logit'"):
            Ensemble([outputs])(torch.randn(7, 3))
        assert Ensemble([outputs], reduce="logit")(torch.randn(7, 3)).std() > 0
