import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from danlu.train import evaluate

from .toys import cut, loss, network, same, tokens


@settings(deadline=None, max_examples=20)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_means_are_those_of_all_items_however_batched(sizes, seed):
    model, (x, y) = network(), tokens(sum(sizes), seed, masked=0.6)
    found = evaluate(model, loss, cut((x, y), sizes))
    z, valid = model(x).detach().numpy(), y.numpy() != -100
    logs = z - np.log(np.exp(z).sum(-1, keepdims=True))
    right = np.take_along_axis(logs, np.where(valid, y.numpy(), 0)[..., None], -1)[..., 0]
    assert found == {
        "valid/loss": pytest.approx(-right[valid].mean(), rel=1e-13),
        "valid/accuracy": pytest.approx((z.argmax(-1) == y.numpy())[valid].mean(), rel=1e-15),
    }


def test_eval_mode_no_gradients_and_every_module_back_in_its_own_mode():
    model = network(0, nn.Dropout(0.5), nn.BatchNorm1d(3))
    model.train()
    model[3].eval()  # a frozen layer
    seen = []

    def watching(model, batch):
        seen.append(([m.training for m in model.modules()], torch.is_grad_enabled()))
        return loss(model, batch)

    before = [m.training for m in model.modules()]
    buffers = [b.clone() for b in model.buffers()]
    found = evaluate(model, watching, [tokens(4)], prefix="test")
    assert seen == [([False] * 6, False)]
    assert [m.training for m in model.modules()] == before
    assert same(list(model.buffers()), buffers)
    assert list(found) == ["test/loss", "test/accuracy"]
    assert found == evaluate(model, watching, [tokens(4)], prefix="test")


def test_modes_come_back_after_an_error_too():
    model = network(0, nn.Dropout(0.5))
    with pytest.raises(ZeroDivisionError):
        evaluate(model, lambda m, b: 1 / 0, [tokens(2)])
    assert model.training
    assert model[2].training


def test_nothing_counted_is_nan_and_no_batch_is_an_error():
    x, y = tokens(3)
    found = evaluate(network(), loss, [(x, torch.full_like(y, -100))])
    assert all(np.isnan(value) for value in found.values())
    with pytest.raises(ValueError, match="the valid data gave no batch"):
        evaluate(network(), loss, [])


def test_a_bare_mean_is_refused():
    with pytest.raises(TypeError, match="return \\(sum over the items, their number\\)"):
        evaluate(network(), lambda m, b: m(b[0]).mean(), [tokens(2)])


def test_a_measure_must_not_be_called_loss():
    with pytest.raises(ValueError, match="a measure is called 'loss'"):
        evaluate(network(), lambda m, b: type(loss(m, b))(m(b[0]).sum(), 1, {"loss": (1, 1)}), [tokens(2)])
