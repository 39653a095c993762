"""Every preset that steps on gradients alone in the Hugging Face Trainer ends where a hand-written loop ends."""

import warnings

import pytest
import torch
from torch import nn

from danlu import optim
from tests.compat.problem import EPOCHS, PRESETS, build, loader, mse, plain_loop, same, weights

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers", reason="the compat group is not installed")
    pytest.importorskip("accelerate", reason="the compat group is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs


class Model(nn.Module):
    """The problem as the Trainer wants it: a dict with the loss."""

    def __init__(self):
        super().__init__()
        self.model = build()

    def forward(self, x, y):
        return {"loss": mse(self.model, [x, y])}


def train(name, folder):
    model = Model()
    optimizer = optim.create(name, model, 0.01, compile=False)
    constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    x, y = loader().dataset.tensors
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=4,
        max_grad_norm=0.0,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        train_sampling_strategy="sequential",
    )
    samples = [{"x": a, "y": b} for a, b in zip(x, y, strict=True)]
    transformers.Trainer(model, arguments, train_dataset=samples, optimizers=(optimizer, constant)).train()
    return weights(model.model)


@pytest.mark.parametrize("name", [name for name in PRESETS if optim.preset(name)().needs == {"grad"}])
def test_the_trainer_equals_a_plain_loop(name, tmp_path):
    assert same(plain_loop(name), train(name, tmp_path))


@pytest.mark.parametrize("name", [name for name in PRESETS if optim.preset(name)().needs != {"grad"}])
def test_a_rule_that_needs_more_says_so(name, tmp_path):
    """The Trainer calls step() with neither loss nor closure: nothing may go wrong silently."""
    with pytest.raises(ValueError, match=r"call step\("):
        train(name, tmp_path)
