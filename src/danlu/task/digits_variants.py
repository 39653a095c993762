"""Handwritten digits made harder: half of the classes, few labels, wrong labels, rare classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from danlu.data import Augmentation
from danlu.keyed import generator
from danlu.registry import Registry
from danlu.task.digits import JITTER, cut, digits, read, split
from danlu.task.models.cnn import CNN
from danlu.task.task import Choice, Data, Defaults, Task

__all__ = ["digits_few", "digits_low", "digits_noisy", "digits_tail"]

_HALF, _FEW, _WRONG, _IMBALANCE = 5, 4, 0.4, 100.0


def _load_low(*, batch: int, seed: int, augment: Augmentation) -> Data:
    """The digits 0 to 4: what a network learns before it is transferred."""
    images, labels = read()
    train, test = (places[labels[places] < _HALF] for places in split(len(labels)))
    return cut(images, labels[train], labels[test], train, test, augment, batch=batch, seed=seed)


def _load_few(*, batch: int, seed: int, augment: Augmentation) -> Data:
    """The digits 5 to 9 as classes 0 to 4, with 4 training images of each, the same for every seed."""
    images, labels = read()
    train, test = (places[labels[places] >= _HALF] for places in split(len(labels)))
    train = torch.cat([_places(labels, train, digit)[:_FEW] for digit in range(_HALF, 10)])
    return cut(images, labels[train] - _HALF, labels[test] - _HALF, train, test, augment, batch=batch, seed=seed)


def _load_noisy(*, batch: int, seed: int, augment: Augmentation) -> Data:
    """All digits; 40 % of the training labels, the same for every seed, are another digit's, each as likely."""
    images, labels = read()
    train, test = split(len(labels))
    draw = generator("digits", "noise")
    wrong = torch.rand(len(train), generator=draw) < _WRONG
    shift = torch.randint(1, 10, (len(train),), generator=draw)
    known = torch.where(wrong, (labels[train] + shift) % 10, labels[train])
    return cut(images, known, labels[test], train, test, augment, batch=batch, seed=seed)


def _load_tail(*, batch: int, seed: int, augment: Augmentation) -> Data:
    """All digits, of digit c the first ⌈n·100^(−c/9)⌉ training images: 2 of the last."""
    images, labels = read()
    train, test = split(len(labels))
    each = [_places(labels, train, digit) for digit in range(10)]
    train = torch.cat([x[: math.ceil(len(x) * _IMBALANCE ** (-c / 9))] for c, x in enumerate(each)])
    return cut(images, labels[train], labels[test], train, test, augment, batch=batch, seed=seed)


def _places(labels: Tensor, places: Tensor, digit: int) -> Tensor:
    return places[labels[places] == digit]


_few: Registry[Choice] = Registry("model of digits-few")
_optimizer = {"name": "adamw", "lr": 3e-3, "weight_decay": 0.05}
_short = Defaults("200", 20, _optimizer, {"name": "cosine", "warmup": "10%"}, threads=1, augment=(JITTER,))
_few.add("cnn", Choice(CNN, "three 3×3 convolutions with group norm", _short))

_LOW, _FEW_OF, _NOISY, _TAIL = (
    "the digits 0 to 4, to learn from before digits-few",
    "the digits 5 to 9 with 4 training images of each",
    "digits with 40 % of the training labels wrong",
    "digits with a long tail, 143 0s to 2 9s",
)
digits_low = Task("digits-low", _LOW, "image", digits.models, "cnn", _load_low, augmentable=True)
digits_few = Task("digits-few", _FEW_OF, "image", _few, "cnn", _load_few, augmentable=True)
digits_noisy = Task("digits-noisy", _NOISY, "image", digits.models, "cnn", _load_noisy, augmentable=True)
digits_tail = Task("digits-tail", _TAIL, "image", digits.models, "cnn", _load_tail, augmentable=True)
