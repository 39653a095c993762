import math

import pytest
import torch
from torch import nn

from danlu.keyed import generator
from danlu.task import chars
from danlu.task.chars import sample
from danlu.train import evaluate


class Bigram(nn.Module):
    """Symbol s is followed by s + 1 with logit 3 over the rest; remembers the longest text that it saw."""

    longest = 0

    def forward(self, text):
        self.longest = max(self.longest, text.shape[1])
        return 3.0 * nn.functional.one_hot((text + 1) % 5, 5)


def test_a_sample_continues_the_prompt_and_is_keyed():
    prompt = torch.tensor([0, 1])
    a, b, c = (sample(Bigram(), prompt, 50, generator(seed)) for seed in (1, 1, 2))
    assert a.shape == (52,)
    assert torch.equal(a[:2], prompt)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_sample_follows_the_models_probabilities():
    for temperature in (0.8, 2.0):
        text = sample(Bigram(), torch.tensor([0]), 4000, generator(0), temperature)
        share = float(((text[1:] - text[:-1]) % 5 == 1).double().mean())
        p = math.exp(3 / temperature) / (math.exp(3 / temperature) + 4)
        assert share == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 4000))


def test_a_long_sample_looks_back_no_further_than_training_did():
    model = Bigram()
    sample(model, torch.tensor([0]), 300, generator(0))
    assert model.longest == 128


def test_the_held_out_loss_counts_every_character():
    class Uniform(nn.Module):
        def forward(self, text):
            return torch.zeros(*text.shape, 103)

    parts = chars.build()
    counted = sum(int((y != -100).sum()) for _, y in parts.test.epoch(0))
    assert counted > 20_000
    assert evaluate(Uniform(), parts.loss, parts.test.epoch(0))["valid/loss"] == pytest.approx(math.log(103), rel=1e-6)


def test_the_model_fits_the_text():
    parts = chars.build(batch=2)
    x, y = next(parts.train.epoch(0))
    assert x.shape == y.shape == (2, 128)
    logits = parts.model(x)
    assert logits.shape[:2] == (2, 128)
    assert int(x.max()) < logits.shape[-1]
    assert parts.after(parts.model).startswith("The ")
