import numpy as np
import pytest
import torch
from torch import nn

from danlu import optim, train
from danlu.train import clip_coefficient


def test_the_law():
    rng = np.random.default_rng(0)
    for norm, bound in rng.lognormal(0, 3, (200, 2)):
        assert clip_coefficient(norm, bound) == bound / max(norm, bound)
        assert clip_coefficient(norm, bound) * norm <= bound * (1 + 1e-15)


def test_up_to_the_bound_nothing_happens():
    below = np.nextafter(1.0, 0.0)
    assert [clip_coefficient(norm, 1.0) for norm in (0.0, 0.5, below, 1.0)] == [1.0] * 4


@pytest.mark.parametrize("norm", [1 + 1e-9, 1.5, 1e8])
def test_above_it_the_norm_becomes_the_bound_without_an_epsilon(norm):
    assert clip_coefficient(norm, 1.0) * norm == pytest.approx(1.0, rel=1e-15)
    assert clip_coefficient(norm, 1.0) != 1.0 / (norm + 1e-6)


@pytest.mark.parametrize("piece", [optim.grad.ClipNorm(0.5), optim.grad.ZClip(), optim.grad.AutoClip()], ids=str)
def test_an_optimizer_that_clips_is_not_clipped_before(piece):
    model = nn.Linear(3, 2)
    optimizer = optim.create("adamw", model, grad=(optim.grad.Centralize(), piece))
    with pytest.raises(ValueError, match=r"^Update: clip=1 beside the optimizer's own .*Clip.* leave one of them out"):
        train.Update(model, lambda model, batch: model(batch).sum(), optimizer, clip=1.0)
    train.Update(model, lambda model, batch: model(batch).sum(), optimizer)


def test_other_optimizers_are_clipped():
    """Pieces that bound each element or tensor say nothing of the whole gradient."""
    model = nn.Linear(3, 2)
    for optimizer in (torch.optim.SGD(model.parameters()), optim.create("sgd", model, grad=optim.grad.ClipValue(1.0))):
        train.Update(model, lambda model, batch: model(batch).sum(), optimizer, clip=1.0)
