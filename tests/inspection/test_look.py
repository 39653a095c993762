"""One look in a loop of one's own, and the place where the first inf or nan is made."""

import math

import pytest
import torch
from torch import nn

from danlu.inspection import first_nonfinite, look, read, verdicts


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def test_a_look_reads_every_gradient_and_changes_nothing():
    model = net()
    model[2].bias.requires_grad_(False)
    model(torch.randn(16, 4)).square().mean().backward()
    before = [(p.clone(), None if p.grad is None else p.grad.clone()) for p in model.parameters()]
    found = look(model, step=3)
    assert found.step == 3
    assert list(found.layers) == ["0.weight", "0.bias", "2.weight"]
    assert found.layers["0.weight"] == read(model[0].weight, model[0].weight.grad)
    assert math.isnan(found.layers["0.weight"].ratio)
    for p, (old, grad) in zip(model.parameters(), before, strict=True):
        assert torch.equal(p, old)
        assert (p.grad is None) == (grad is None)
        assert grad is None or torch.equal(p.grad, grad)


def test_a_look_prints_a_line_for_each_layer_and_can_be_judged():
    model = net()
    model(torch.randn(16, 4)).square().mean().backward()
    model[0].weight.grad[0, 0] = math.nan
    lines = str(look(model)).splitlines()
    assert lines[0].split()[:3] == ["layer", "weight", "rms"]
    assert [line.split()[0] for line in lines[1:]] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert float(lines[3].split()[2]) == pytest.approx(model[2].weight.grad.square().mean().sqrt().item(), rel=1e-2)
    assert ("non-finite", "0.weight") in {(v.kind, v.layer) for v in verdicts([look(model)])}


def test_a_look_without_gradients_says_when_to_look():
    with pytest.raises(ValueError, match=r"^look: no parameter has a gradient; call it after backward\(\)"):
        look(net())


class Overflow(nn.Module):
    def forward(self, x, scale):
        return {"y": (x * scale,)}


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.block, self.last = nn.Linear(4, 4), nn.Sequential(nn.Tanh(), nn.Identity()), Overflow()

    def forward(self, x):
        return self.last(self.block(self.first(x)), scale=torch.tensor(3e38))["y"][0] * 2.0


def test_the_innermost_module_that_makes_it_is_named_with_what_it_was_given():
    model = Model()
    with torch.no_grad():
        model.first.weight.fill_(10.0)
        model.first.bias.zero_()
    assert first_nonfinite(model, lambda model: model.first(torch.ones(2, 4))) is None
    found = first_nonfinite(model, lambda model: model(torch.ones(2, 4)))
    assert (found.name, found.kind, found.dtype) == ("", "Model", torch.float32)  # 3e38 · 1 is finite, twice as much is not
    model.block = nn.Identity()
    found = first_nonfinite(model, lambda model: model(torch.ones(2, 4)))
    assert (found.name, found.kind) == ("last", "Overflow")
    assert found.largest == pytest.approx(3e38)
    assert str(found) == "first not finite: the output of last (Overflow, float32), whose largest input is 3e+38"


def test_a_bad_weight_and_a_bad_input_are_called_so():
    model = net()
    assert str(first_nonfinite(model, lambda model: model(torch.tensor([[1.0, math.inf, 0.0, 0.0]])))) == (
        "first not finite: what the model is given (float32)"
    )
    with torch.no_grad():
        model[2].bias[1] = math.nan
    assert str(first_nonfinite(model, lambda model: model(torch.ones(1, 4)))) == (
        "not finite before the forward pass: 2.bias (float32)"
    )


def test_hooks_are_gone_afterwards_also_when_the_run_fails():
    model = net()
    with pytest.raises(RuntimeError):
        first_nonfinite(model, lambda model: model(torch.ones(1, 5)))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_half_precision_under_autocast():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    with torch.no_grad():
        model[0].weight.fill_(200.0)
        model[1].weight.fill_(200.0)

    def run(model):
        with torch.autocast("cpu", torch.float16):
            return model(torch.full((1, 4), 5.0))

    found = first_nonfinite(model, run)
    assert (found.name, found.kind, found.dtype) == ("1", "Linear", torch.float16)
    assert found.largest == pytest.approx(4000.0, rel=1e-3)
