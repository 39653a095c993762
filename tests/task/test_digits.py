import sys

import pytest
import torch
from torch import nn

from danlu.task import digits


def images(loader):
    return torch.cat([x for x, _ in loader.epoch(0)]).flatten(1)


def rows(x):
    return {tuple(row) for row in x.tolist()}


def test_the_split_is_the_same_for_every_seed_and_complete():
    a, b = digits.build(seed=0, augment=[]), digits.build(seed=1, augment=[])
    assert len(images(a.train)) == 1437
    assert len(images(a.test)) == 360
    assert torch.equal(images(a.test), images(b.test))
    assert rows(images(a.train)) == rows(images(b.train))
    assert not rows(images(a.train)) & rows(images(a.test))


def test_grey_values_are_centred_and_scaled_over_the_training_images():
    x = images(digits.build(augment=[]).train).double()
    assert float(x.mean()) == pytest.approx(0, abs=1e-5)
    assert float(x.std()) == pytest.approx(1, abs=1e-5)


def test_order_is_a_function_of_seed_and_epoch():
    def first(seed, epoch):
        return next(digits.build("mlp", seed=seed).train.epoch(epoch))[0]

    assert torch.equal(first(0, 2), first(0, 2))
    assert not torch.equal(first(0, 2), first(0, 3))
    assert not torch.equal(first(0, 2), first(1, 2))


def test_training_images_are_jittered_and_held_out_ones_are_not():
    parts = digits.build("mlp")
    (jittered, labels), (plain, same) = next(parts.train.epoch(1)), next(digits.build("mlp", augment=[]).train.epoch(1))
    assert torch.equal(labels, same)
    assert 0.1 < float((jittered - plain).square().mean()) < 1  # of a variance of 1
    assert torch.equal(next(parts.test.epoch(0))[0], next(parts.test.epoch(1))[0])


class Oracle(nn.Module):
    """Right about every held-out image but the first `wrong`, which it takes for the digit after."""

    def __init__(self, labels, wrong):
        super().__init__()
        self.guess = labels.clone()
        self.guess[:wrong] = (self.guess[:wrong] + 1) % 10

    def forward(self, x):
        return nn.functional.one_hot(self.guess, 10).float()


def test_mistakes_are_named():
    parts = digits.build()
    _, labels = next(parts.test.epoch(0))
    y = int(labels[0])
    assert parts.after(Oracle(labels, 0)) == "misread: none (0 of 360)"
    assert parts.after(Oracle(labels, 1)) == f"misread: {y} read as {(y + 1) % 10} (1 of 360)"
    many = parts.after(Oracle(labels, 100))
    assert many.count(" read as ") == 12
    assert many.endswith(", … (100 of 360)")


def test_without_scikit_learn_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"^task 'digits' needs scikit-learn.*pip install 'danlu\[data\]'$"):
        digits.build()
