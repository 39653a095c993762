"""The two deep networks with their twins, and the recipe for those without norms."""

import pytest
import torch
from torch import nn

from danlu.layers import ActivationReport, NormFreeResidual, activations
from danlu.optim.grad import AdaptiveClip
from danlu.recipe import load, prepare
from danlu.task import digits
from danlu.task.models import DeepMLP, NormFreeDeepMLP, NormFreeResNet, ResNet, bare_deep_mlp, bare_resnet


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (DeepMLP, 86_410),
        (bare_deep_mlp, 83_850),
        (NormFreeDeepMLP, 85_149),
        (ResNet, 56_810),
        (bare_resnet, 56_010),
        (NormFreeResNet, 56_422),
    ],
)
def test_a_row_of_logits_per_image(build, parameters):
    model = build()
    assert model(torch.randn(5, 1, 8, 8)).shape == (5, 10)
    assert sum(p.numel() for p in model.parameters()) == parameters


def layers(model):
    return [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


@pytest.mark.parametrize(
    ("builds", "count"), [((DeepMLP, bare_deep_mlp, NormFreeDeepMLP), 21), ((ResNet, bare_resnet, NormFreeResNet), 26)]
)
def test_twins_have_the_same_layers(builds, count):
    shapes = [[layer.weight.shape for layer in layers(build())] for build in builds]
    assert len(shapes[0]) == count
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize("name", ["mlp_deep_norm_free", "resnet_norm_free"])
def test_signals_keep_their_size_where_norms_are_made_up_for(name):
    parts = digits.build(name)
    images, _ = next(parts.train.epoch(0))
    report = activations(parts.model, lambda model: model(images))
    assert ActivationReport(report.rows[:-1]).verdict.startswith("keeps its size")  # the head starts small


def test_closed_blocks_make_the_network_the_same_at_every_depth():
    torch.manual_seed(0)
    deep, shallow = NormFreeResNet(), NormFreeResNet(depth=0)
    ends = list(deep.state_dict().values())
    shallow.load_state_dict(dict(zip(shallow.state_dict(), [*ends[:3], *ends[-2:]], strict=True)))
    images = torch.randn(4, 1, 8, 8)
    assert torch.equal(deep(images), shallow(images))
    assert sum(isinstance(module, NormFreeResidual) for module in deep.modules()) == 12


def test_the_recipe_is_sound_and_its_clip_spares_head_and_gains():
    run = prepare(load("norm-free", ["until=1"]), observers=[])
    groups = run.trainer.optimizer.param_groups
    assert run.recipe.model == "resnet_norm_free"
    clip = run.recipe.optimizer.options["grad"][0]
    assert clip == {"name": "adaptive_clip", "ratio": 0.1, "vectors": False}
    assert AdaptiveClip(ratio=0.1, vectors=False).skips_roles == {"head"}
    assert len(groups) == 2
    before = [p.detach().clone() for p in run.parts.model.parameters()]
    run.fit()
    moved = [name for (name, p), old in zip(run.parts.model.named_parameters(), before, strict=True) if not torch.equal(p, old)]
    assert any(name.endswith("gain.weight") for name in moved)


@pytest.mark.parametrize("model", ["mlp_deep_bare", "resnet"])
def test_models_are_built_from_a_recipe(model):
    run = prepare(load(None, [f"model={model}", "until=2"], {"task": "digits"}), observers=[])
    assert run.fit().steps == 2
