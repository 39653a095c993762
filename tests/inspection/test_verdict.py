"""Verdicts: each fault is found in a network that has it, and a healthy one has none."""

import dataclasses
import itertools
import json
import math
import re

import pytest
import torch
from torch import nn

from danlu.inspection import Gauges, Layer, Reading, heatmaps, read, update_ratio, verdicts


def reading(model, step=0, ratio=1e-3, clipped=False, change=lambda g: g):
    """One look at a model on noise."""
    source = torch.Generator().manual_seed(step)
    model.zero_grad()
    x = torch.randn(64, 16, generator=source)
    (model(x) - torch.randn(64, 4, generator=source)).square().mean().backward()
    layers = {name: dataclasses.replace(read(p, change(p.grad)), ratio=ratio) for name, p in model.named_parameters()}
    return Reading(step, layers, clipped)


def mlp(depth=3, gain=1.0, width=32):
    torch.manual_seed(0)
    sizes = [16, *[width] * (depth - 1), 4]
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain)
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.Tanh())][:-1])


def kinds(*readings):
    return {v.kind for v in verdicts(readings)}


def test_a_healthy_network_has_no_verdict():
    assert kinds(*[reading(mlp(), step) for step in range(6)]) == set()
    assert verdicts([]) == []


def test_vanishing_over_depth():
    (found,) = {v for v in verdicts([reading(mlp(12, gain=0.3))]) if v.kind == "vanishing"}
    assert found.layer == "0.weight"
    assert "falls by" in str(found)
    assert re.search(r"a factor of 1e\d+ from", str(found))


def test_exploding_over_depth_and_over_time():
    linear = nn.Sequential(*[nn.Linear(16, 16, bias=False) for _ in range(11)], nn.Linear(16, 4, bias=False))
    for layer in linear:
        nn.init.orthogonal_(layer.weight, 1.0)
    states = [reading(linear, step, change=lambda g: g * 0.2) for step in range(3)]
    assert kinds(*states) == set()
    assert kinds(*states, reading(linear, 3, change=lambda g: g * 5.0)) == {"exploding"}
    doubling = [reading(linear, 0, change=lambda g, k=k: g * 2.1**k) for k in range(6)]
    assert "exploding" in kinds(*doubling)
    w = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    falling = [dataclasses.replace(read(w, w * 10.0**-i), ratio=1e-3) for i in range(6)]
    assert kinds(Reading(0, dict(zip("abcdef", falling, strict=True)))) == {"exploding"}


def test_dead_tails_ratios_and_clipping():
    assert kinds(reading(mlp(), change=torch.zeros_like)) == {"dead"}
    spike = reading(mlp(), change=lambda g: torch.where(g.abs() == g.abs().max(), g * 1e3, g))
    assert "long tail" in kinds(spike)
    assert kinds(reading(mlp(), ratio=1e-7)) == {"small steps"}
    assert "moves it by 0 of its norm" in str(verdicts([reading(mlp(), ratio=0.0)])[0])
    assert kinds(reading(mlp(), ratio=0.5)) == {"large steps"}
    assert kinds(*[reading(mlp(), k, clipped=k > 0) for k in range(4)]) == {"clipping"}
    assert kinds(reading(mlp(), change=lambda g: g * math.nan)) >= {"non-finite"}


def test_readings_survive_json():
    before = reading(mlp(), 3)
    after = Reading.from_json(json.loads(json.dumps(before.to_json())))
    assert repr(after) == repr(before)  # a nan is not equal to itself
    assert isinstance(after.layers["0.weight"], Layer)
    assert isinstance(after.layers["0.weight"].gradient, Gauges)


def test_the_ratio_is_that_of_norms():
    p = torch.tensor([3.0, 4.0])
    assert update_ratio(p, p + torch.tensor([0.0, 0.5])) == pytest.approx(0.1)
    assert math.isnan(update_ratio(torch.zeros(2), p))


def test_a_picture_has_a_panel_per_layer(tmp_path):
    figure = heatmaps([reading(mlp(), step) for step in range(3)], "gradients")
    assert [axis.get_title() for axis in figure.axes if axis.get_visible()] == [name for name, _ in mlp().named_parameters()]
    figure.savefig(tmp_path / "g.png")
    assert (tmp_path / "g.png").stat().st_size > 5000
    with pytest.raises(ValueError, match="inspect a run"):
        heatmaps([Reading(0)], "weights")


def test_one_stray_element_does_not_empty_the_pictures():
    def strayed(g):
        return torch.where(torch.arange(g.numel()).view_as(g) == 5, 2.0**-60, g) if g.numel() > 100 else g

    plain, stray = (
        heatmaps([reading(mlp(), step, change=change) for step in range(2)], "gradients") for change in (lambda g: g, strayed)
    )
    assert stray.axes[0].get_ylim() == plain.axes[0].get_ylim()
    low, high = plain.axes[0].get_ylim()
    assert 4 < high - low < 24


def test_one_nan_among_millions_is_not_none():
    """It was "0.00% of the gradient"."""
    seen = reading(nn.Linear(16, 4))
    layer = seen.layers["weight"]
    sick = dataclasses.replace(layer, gradient=dataclasses.replace(layer.gradient, nonfinite=1 / 2**24))
    (verdict,) = verdicts([Reading(0, {"weight": sick})])
    assert verdict.text == "5.96e-06 % of the gradient is inf or nan"
