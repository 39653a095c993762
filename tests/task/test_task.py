import pytest
import torch

from danlu.registry import UnknownNameError
from danlu.task import TASKS, digits, tasks


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_the_tasks_by_name():
    assert tasks() == ["chars", "digits", "digits-few", "digits-low", "digits-noisy", "digits-tail", "vae"]
    with pytest.raises(UnknownNameError, match=r"no task 'digit'; did you mean 'digits'"):
        TASKS.get("digit")


def test_an_unknown_model_is_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no model of digits 'cn'; did you mean 'cnn'\?"):
        digits.build("cn")


@pytest.mark.parametrize("name", ["digits", "chars"])
def test_every_default_model_is_there(name):
    task = TASKS.get(name)
    assert task.name == name
    assert task.model in task.models


def test_the_first_weights_are_a_function_of_the_seed_alone():
    torch.manual_seed(1)
    a = digits.build("mlp", seed=3).model
    torch.manual_seed(2)
    b, c = digits.build("mlp", seed=3).model, digits.build("mlp", seed=4).model
    assert torch.equal(weights(a), weights(b))
    assert not torch.equal(weights(a), weights(c))


def test_building_leaves_the_callers_randomness_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    digits.build("mlp")
    assert torch.equal(torch.rand(3), expected)


def test_the_batch_is_the_models_default_or_the_one_asked_for():
    assert next(digits.build().train.epoch(0))[0].shape == (64, 1, 8, 8)
    assert next(digits.build(batch=7).train.epoch(0))[0].shape == (7, 1, 8, 8)
